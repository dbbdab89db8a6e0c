"""A MinIO server, for what is to be tried on a real S3: from PATH, or its last community source built by Go.

Upstream publishes no binaries any more; the source is a Go module, built once into a cache.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MODULE = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
USER = "terrane"


def find_program(cache: Path) -> Path | None:
    """MinIO from PATH, or as built before, or built now where there is Go; None where none of it is to be had."""
    if on_path := shutil.which("minio"):
        return Path(on_path)
    built = cache / "minio"
    if built.exists():
        return built
    if not shutil.which("go"):
        return None
    cache.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"CGO_ENABLED": "0", "GOBIN": str(cache), "GOFLAGS": "-trimpath -ldflags=-s"}
    done = subprocess.run(["go", "install", MODULE], env=environment, capture_output=True, text=True)
    return built if done.returncode == 0 else None


def command(program: Path, data: Path, port: int, certificates: Path | None = None) -> list[str]:
    """The command line; a folder with `public.crt` and `private.key` makes it speak TLS alone."""
    secured = ["--certs-dir", str(certificates)] if certificates else []
    return [str(program), "server", "--quiet", *secured, "--address", f"127.0.0.1:{port}", str(data)]


def environment(password: str) -> Mapping[str, str]:
    return os.environ | {"MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": password, "MINIO_BROWSER": "off"}


def answers(port: int, authority: Path | None = None) -> bool:
    """Whether the server answers; over TLS where its authority is given."""
    context = ssl.create_default_context(cafile=authority) if authority else None
    url = f"{'https' if authority else 'http'}://127.0.0.1:{port}/minio/health/live"
    try:
        with urllib.request.urlopen(url, timeout=2, context=context) as response:  # noqa: S310 - an address of ours
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def policy(buckets: Iterable[str]) -> dict[str, object]:
    """A policy of S3 that allows those buckets and what is in them, and nothing else."""
    names = [f"arn:aws:s3:::{name}" for name in buckets]
    of_buckets = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": names}
    objects = {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
        "Resource": [f"{name}/*" for name in names],
    }
    return {"Version": "2012-10-17", "Statement": [of_buckets, objects]}


def make_user(
    url: str, password: str, authority: Path | None, user: tuple[str, str], allowed: dict[str, object]
) -> None:
    """Makes a user, by name and password, with a policy of its own.

    By the import of a backup of users, the one request of MinIO's administration whose body is not encrypted by its
    own client.
    """
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    from botocore.httpsession import URLLib3Session

    name, secret = user
    assets = {
        "policies": {f"of-{name}": allowed},
        "users": {name: {"secretKey": secret, "status": "enabled"}},
        "user_mappings": {name: {"version": 1, "policy": f"of-{name}"}},
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for kind, content in assets.items():
            archive.writestr(f"iam-assets/{kind}.json", json.dumps(content))
    request = AWSRequest("PUT", f"{url}/minio/admin/v3/import-iam-v2", data=packed.getvalue())
    S3SigV4Auth(Credentials(USER, password), "s3", "us-east-1").add_auth(request)
    # botocore takes a file as well, and says so nowhere.
    verify: Any = str(authority) if authority else True
    answer = URLLib3Session(verify=verify).send(request.prepare())
    if answer.status_code != 200 or '"failed":{' in answer.text.replace(" ", "").replace('"failed":{}', ""):
        raise RuntimeError(f"MinIO did not make the user {name}: {answer.status_code} {answer.text[:500]}")
