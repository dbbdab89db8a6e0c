"""The hook makes the buckets that are missing, and waits for a store that is still starting."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from terrane.object_store import DATA_LAKE, ObjectStoreResource, s3_client
from terrane.object_store.buckets import BucketRefused, ensure_buckets
from terrane_dev.servers.process import free_port

pytestmark = pytest.mark.integration


def test_only_missing_buckets_are_made(s3_store: ObjectStoreResource) -> None:
    assert ensure_buckets(s3_store) == []
    s3_client(s3_store).delete_bucket(Bucket=DATA_LAKE)
    assert ensure_buckets(s3_store) == [DATA_LAKE]


def test_the_hook_tells_what_it_did(s3_store: ObjectStoreResource) -> None:
    variables = {"MINIO_ENDPOINT": s3_store.endpoint, "MINIO_ROOT_USER": s3_store.access_key}
    done = _hook(variables | {"MINIO_ROOT_PASSWORD": s3_store.secret_key})
    assert done.returncode == 0
    assert done.stdout == "made nothing: every bucket is there\nmay use landing-zone, data-lake, compute-logs\n"


def test_nothing_is_made_where_nobody_asks_for_it(s3_store: ObjectStoreResource) -> None:
    s3_client(s3_store).delete_bucket(Bucket=DATA_LAKE)
    variables = {"MINIO_ENDPOINT": s3_store.endpoint, "MINIO_ROOT_USER": s3_store.access_key}
    done = _hook(variables | {"MINIO_ROOT_PASSWORD": s3_store.secret_key}, make=False)
    assert done.returncode == 1
    assert "the bucket data-lake does not exist" in done.stderr
    assert ensure_buckets(s3_store) == [DATA_LAKE]


def test_a_wrong_password_fails_at_once(s3_store: ObjectStoreResource) -> None:
    variables = {"MINIO_ENDPOINT": s3_store.endpoint, "MINIO_ROOT_USER": s3_store.access_key}
    done = _hook(variables | {"MINIO_ROOT_PASSWORD": "another"})
    assert done.returncode == 1
    assert "SignatureDoesNotMatch" in done.stderr


def test_a_store_that_never_comes_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from terrane.object_store import buckets

    endpoint = f"127.0.0.1:{free_port()}"
    for name, value in {"MINIO_ENDPOINT": endpoint, "MINIO_ROOT_USER": "u", "MINIO_ROOT_PASSWORD": "p"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(buckets, "WAIT_S", 0)
    assert buckets.main([]) == 1
    assert f"{endpoint} did not answer within 0 s" in capsys.readouterr().err


class Answers(BaseHTTPRequestHandler):
    """What a provider's S3 says to whoever makes a bucket; MinIO has one owner, and says it of nobody."""

    code: ClassVar[str] = ""
    asked: ClassVar[list[str]] = []

    def do_PUT(self) -> None:
        self.asked.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
        body = f"<Error><Code>{self.code}</Code><Message>Taken.</Message></Error>" if self.code else ""
        self.send_response(409 if self.code else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that is overridden
        pass


@pytest.fixture
def provider(request: pytest.FixtureRequest) -> Iterator[ObjectStoreResource]:
    """A provider's address, which answers with the code that the test names."""
    answers = type("AnswersOfTest", (Answers,), {"code": request.param})
    Answers.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"127.0.0.1:{server.server_address[1]}"
        yield ObjectStoreResource(endpoint=endpoint, access_key="u", secret_key="hidden-words", region="eu-central-1")
        server.shutdown()


@pytest.mark.parametrize("provider", ["BucketAlreadyExists"], indirect=True)
def test_a_bucket_that_is_somebody_elses_is_an_error(provider: ObjectStoreResource) -> None:
    with pytest.raises(BucketRefused, match="landing-zone is somebody else's .*set LANDING_ZONE_BUCKET") as told:
        ensure_buckets(provider)
    assert "hidden-words" not in str(told.value)


@pytest.mark.parametrize("provider", ["BucketAlreadyOwnedByYou"], indirect=True)
def test_a_bucket_that_is_ours_already_is_left_as_it_is(provider: ObjectStoreResource) -> None:
    assert ensure_buckets(provider) == []
    assert [asked.count("<LocationConstraint>eu-central-1<") for asked in Answers.asked] == [1, 1, 1]


@pytest.mark.parametrize("provider", ["IllegalLocationConstraintException"], indirect=True)
def test_a_store_of_another_region_is_told_with_the_variable(provider: ObjectStoreResource) -> None:
    with pytest.raises(BucketRefused, match="not in the region eu-central-1 .*see AWS_DEFAULT_REGION"):
        ensure_buckets(provider)


def _hook(variables: dict[str, str], *, make: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "terrane.object_store.buckets", *(["--make"] if make else [])]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=60, check=False)
