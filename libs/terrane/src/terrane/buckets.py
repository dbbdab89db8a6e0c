"""Makes the platform's buckets where they are missing: `python -m terrane.buckets`, a hook of the chart.

Addressed by the same variables as everything else; waits for a store that is still starting.
"""

from __future__ import annotations

import os
import sys
import time

from terrane.names import BUCKETS
from terrane.object_store import DEFAULT_REGION, ObjectStoreResource, s3_client

WAIT_S = 300
PAUSE_S = 2
THERE_ALREADY = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


def ensure_buckets(store: ObjectStoreResource) -> list[str]:
    """Makes the buckets that are missing and returns their names.

    Raises botocore's ClientError for a store that refuses, EndpointConnectionError for one that is not there.
    """
    from botocore.exceptions import ClientError

    client, made = s3_client(store), []
    for name in map(store.name, BUCKETS):
        try:
            client.create_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in THERE_ALREADY:
                raise
        else:
            made.append(name)
    return made


def main() -> int:
    from botocore.exceptions import EndpointConnectionError

    store = ObjectStoreResource(
        endpoint=os.environ["MINIO_ENDPOINT"],
        access_key=os.environ["MINIO_ROOT_USER"],
        secret_key=os.environ["MINIO_ROOT_PASSWORD"],
        region=os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION,
    )
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            print(f"made {', '.join(ensure_buckets(store)) or 'nothing: every bucket is there'}")
        except EndpointConnectionError as error:
            if time.monotonic() > deadline:
                print(f"{store.endpoint} did not answer within {WAIT_S} s: {error}", file=sys.stderr)
                return 1
            time.sleep(PAUSE_S)
        else:
            return 0


if __name__ == "__main__":
    sys.exit(main())
