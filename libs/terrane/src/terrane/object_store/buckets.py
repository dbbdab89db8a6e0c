"""Looks whether the platform may use its buckets: `python -m terrane.object_store.buckets`, a hook of the chart.

With `--make` those that are missing are made before, and nothing is ever made without it. Addressed by the same
variables as everything else; waits for a store that is still starting.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from terrane.names import BUCKETS
from terrane.object_store.store import DEFAULT_REGION, KEY_VARIABLES, NAME_VARIABLES, ObjectStoreResource, s3_client

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

WAIT_S = 300
PAUSE_S = 2
OURS_ALREADY = "BucketAlreadyOwnedByYou"
# What a store says of a bucket that exists and is not of the account that asks.
SOMEBODY_ELSES = ("BucketAlreadyExists", "AllAccessDisabled")
MISSING = ("NoSuchBucket", "404")
ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301")
WRONG_KEYS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidTokenId", "InvalidToken", "ExpiredToken")


class BucketRefused(RuntimeError):
    """A bucket cannot be used, or not be made; the message says which, why, and what to set."""


def ensure_buckets(store: ObjectStoreResource) -> list[str]:
    """Makes the buckets that are missing and returns their names.

    Raises BucketRefused for one that the store refuses or that is somebody else's, botocore's EndpointConnectionError
    for a store that is not there.
    """
    return [store.name(purpose) for purpose in BUCKETS if _make(store, purpose)]


def check_buckets(store: ObjectStoreResource) -> list[str]:
    """Looks into every bucket, below the prefix, and returns their names.

    Raises BucketRefused for one that is missing or may not be used, botocore's EndpointConnectionError for a store that
    is not there.
    """
    from botocore.exceptions import ClientError

    client = s3_client(store)
    for purpose in BUCKETS:
        below = {"Prefix": f"{store.prefix}/"} if store.prefix else {}
        try:
            client.list_objects_v2(Bucket=store.name(purpose), MaxKeys=1, **below)
        except ClientError as error:
            raise BucketRefused(_why_not_used(store, purpose, error)) from error
    return [store.name(purpose) for purpose in BUCKETS]


def main(arguments: list[str] | None = None) -> int:
    from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, NoCredentialsError, SSLError

    parser = argparse.ArgumentParser(prog="python -m terrane.object_store.buckets", description=__doc__)
    parser.add_argument("--make", action="store_true", help="make the buckets that are missing")
    make = parser.parse_args(arguments).make
    store = ObjectStoreResource.from_process()
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            if make:
                print(f"made {', '.join(ensure_buckets(store)) or 'nothing: every bucket is there'}")
            print(f"may use {', '.join(check_buckets(store))}")
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            if time.monotonic() > deadline:
                return _fail(f"{store.endpoint} did not answer within {WAIT_S} s: {error}")
            time.sleep(PAUSE_S)
        except SSLError as error:
            return _fail(f"{store.endpoint} has a certificate that is not trusted; AWS_CA_BUNDLE names a file: {error}")
        except NoCredentialsError:
            return _fail(f"no keys: set {' and '.join(KEY_VARIABLES)}, or give the process an identity of its own")
        except BucketRefused as error:
            return _fail(str(error))
        else:
            return 0


def _make(store: ObjectStoreResource, purpose: str) -> bool:
    """Whether it was missing; one that is ours already is left as it is."""
    from botocore.exceptions import ClientError

    # The region in which a bucket lies unless one is named, and which a store refuses to be named.
    where: dict[str, Any] = {}
    if store.region != DEFAULT_REGION:
        where = {"CreateBucketConfiguration": {"LocationConstraint": store.region}}
    try:
        s3_client(store).create_bucket(Bucket=store.name(purpose), **where)
    except ClientError as error:
        if _code(error) == OURS_ALREADY:
            return False
        raise BucketRefused(_why_not_made(store, purpose, error)) from error
    return True


def _why_not_made(store: ObjectStoreResource, purpose: str, error: ClientError) -> str:
    name, code = store.name(purpose), _code(error)
    if code in SOMEBODY_ELSES:
        return (
            f"the bucket {name} is somebody else's ({code}), and nothing was written to it: all who use "
            f"{store.endpoint} share its names, so set {NAME_VARIABLES[purpose]} to another"
        )
    if code in WRONG_KEYS or code in ELSEWHERE:
        return _why_not_used(store, purpose, error)
    return (
        f"{store.endpoint} does not make the bucket {name} for these keys: {code}, {_message(error)}. Make it and "
        "leave --make out (s3.createBuckets), or let them"
    )


def _why_not_used(store: ObjectStoreResource, purpose: str, error: ClientError) -> str:
    name, code, variable = store.name(purpose), _code(error), NAME_VARIABLES[purpose]
    if code in MISSING:
        return f"the bucket {name} does not exist at {store.endpoint}: make it, or set {variable} to one that does"
    if code in ELSEWHERE:
        return f"the bucket {name} is not in the region {store.region} ({code}): see AWS_DEFAULT_REGION"
    if code in WRONG_KEYS:
        return f"{store.endpoint} does not know these keys ({code}): see {' and '.join(KEY_VARIABLES)}"
    return (
        f"the bucket {name} may not be used by these keys: {code}, {_message(error)}. It is somebody else's, and then "
        f"set {variable} to one of yours, or their policy lacks s3:ListBucket for it"
    )


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", "")).rstrip(". ")


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
