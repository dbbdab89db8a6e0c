"""The hook makes the buckets that are missing, and waits for a store that is still starting."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from terrane.buckets import ensure_buckets
from terrane.object_store import DATA_LAKE, ObjectStoreResource, s3_client
from terrane_dev.servers.process import free_port

pytestmark = pytest.mark.integration


def test_only_missing_buckets_are_made(s3_store: ObjectStoreResource) -> None:
    assert ensure_buckets(s3_store) == []
    s3_client(s3_store).delete_bucket(Bucket=DATA_LAKE)
    assert ensure_buckets(s3_store) == [DATA_LAKE]


def test_the_hook_tells_what_it_did(s3_store: ObjectStoreResource) -> None:
    variables = {"MINIO_ENDPOINT": s3_store.endpoint, "MINIO_ROOT_USER": s3_store.access_key}
    done = _hook(variables | {"MINIO_ROOT_PASSWORD": s3_store.secret_key})
    assert (done.returncode, done.stdout) == (0, "made nothing: every bucket is there\n")


def test_a_wrong_password_fails_at_once(s3_store: ObjectStoreResource) -> None:
    variables = {"MINIO_ENDPOINT": s3_store.endpoint, "MINIO_ROOT_USER": s3_store.access_key}
    done = _hook(variables | {"MINIO_ROOT_PASSWORD": "another"})
    assert done.returncode == 1
    assert "SignatureDoesNotMatch" in done.stderr


def test_a_store_that_never_comes_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from terrane import buckets

    endpoint = f"127.0.0.1:{free_port()}"
    for name, value in {"MINIO_ENDPOINT": endpoint, "MINIO_ROOT_USER": "u", "MINIO_ROOT_PASSWORD": "p"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(buckets, "WAIT_S", 0)
    assert buckets.main() == 1
    assert f"{endpoint} did not answer within 0 s" in capsys.readouterr().err


def _hook(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "terrane.buckets"]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=60, check=False)
