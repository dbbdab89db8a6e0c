"""The object store of a provider: TLS, names of one's own, a prefix, users with few rights, and no keys at all."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import obstore
import pytest

from terrane.errors import is_temporary, message_of
from terrane.object_store import COMPUTE_LOGS, DATA_LAKE, LANDING_ZONE, ObjectStoreResource, s3_client
from terrane.object_store.buckets import BucketRefused, check_buckets, ensure_buckets
from terrane.publishing import list_commits, publish
from terrane_dev.managed_stores import BUCKETS, S3_USER, ManagedS3
from terrane_dev.servers.process import free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def store(managed_s3: ManagedS3, monkeypatch: pytest.MonkeyPatch) -> ObjectStoreResource:
    """As a location makes it from its environment."""
    for name, value in managed_s3.variables().items():
        monkeypatch.setenv(name, value)
    return ObjectStoreResource.from_process()


def test_buckets_have_names_of_their_own_and_what_is_written_lies_below_the_prefix(
    store: ObjectStoreResource, managed_s3: ManagedS3
) -> None:
    dataset = f"of_{secrets.token_hex(4)}"
    publish(store.bucket(DATA_LAKE), dataset, "b1", "run1", {"table": b"content"})
    assert [commit.batch_id for commit in list_commits(store.bucket(DATA_LAKE), dataset)] == ["b1"]
    listed = s3_client(managed_s3.root).list_objects_v2(Bucket="example-data-lake", Prefix=f"one/team/{dataset}/")
    assert listed["KeyCount"] >= 2


def test_a_name_that_is_given_stands_for_itself_in_every_environment(
    store: ObjectStoreResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRANE_ENVIRONMENT", "staging")
    assert store.name(DATA_LAKE) == "example-data-lake"
    assert store.model_copy(update={"bucket_names": {}}).name(DATA_LAKE) == "data-lake--staging"


def test_a_folder_has_the_same_names_and_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MINIO_ENDPOINT": tmp_path.as_uri(), "LANDING_ZONE_BUCKET": "mine", "S3_PREFIX": "a/b"}.items():
        monkeypatch.setenv(name, value)
    obstore.put(ObjectStoreResource.from_process().bucket(LANDING_ZONE), "key", b"1")
    assert (tmp_path / "mine/a/b/key").read_bytes() == b"1"


def test_a_location_reads_the_same_settings_when_its_run_starts(
    store: ObjectStoreResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagster import build_resources

    with build_resources({"store": ObjectStoreResource.from_env()}) as resources:
        assert resources.store == store


def test_a_users_keys_reach_its_own_buckets_and_no_other(store: ObjectStoreResource) -> None:
    obstore.put(store.bucket(LANDING_ZONE), "a", b"1")
    with pytest.raises(obstore.exceptions.PermissionDeniedError):
        obstore.put(store.bucket("somebody-elses"), "a", b"1")


def test_an_authority_that_nobody_named_is_refused(store: ObjectStoreResource, managed_s3: ManagedS3) -> None:
    for ca_file in ("", str(managed_s3.authority.another)):
        done = _run(AWS_CA_BUNDLE=ca_file)
        assert (done.returncode, done.stdout) == (1, "")
        assert "AWS_CA_BUNDLE" in done.stderr
        assert managed_s3.password not in done.stderr


def test_a_file_of_certificates_that_is_not_there_is_named(store: ObjectStoreResource) -> None:
    with pytest.raises(ValueError, match="AWS_CA_BUNDLE names /nowhere/ca.crt, which cannot be read: No such file"):
        store.model_copy(update={"ca_file": "/nowhere/ca.crt"}).bucket(LANDING_ZONE)


def test_the_check_says_what_it_may_use(store: ObjectStoreResource) -> None:
    done = _run()
    assert (done.returncode, done.stdout) == (0, "may use example-landing-zone, example-data-lake, example-data-lake\n")


def test_a_bucket_that_is_somebody_elses_is_named_with_its_variable(store: ObjectStoreResource) -> None:
    taken = store.model_copy(update={"bucket_names": {**BUCKETS, COMPUTE_LOGS: COMPUTE_LOGS}})
    with pytest.raises(BucketRefused, match=r"compute-logs may not be used .*AccessDenied.*set COMPUTE_LOGS_BUCKET"):
        check_buckets(taken)


def test_a_bucket_that_is_missing_is_named_and_nothing_is_made(managed_s3: ManagedS3) -> None:
    missing = managed_s3.root.model_copy(update={"bucket_names": {LANDING_ZONE: "not-there"}})
    with pytest.raises(BucketRefused, match="not-there does not exist .*LANDING_ZONE_BUCKET"):
        check_buckets(missing)
    assert "not-there" not in [bucket["Name"] for bucket in s3_client(managed_s3.root).list_buckets()["Buckets"]]


def test_keys_that_may_not_make_buckets_are_told_what_to_do(store: ObjectStoreResource) -> None:
    with pytest.raises(BucketRefused, match=r"does not make the bucket example-new .*AccessDenied.*s3.createBuckets"):
        ensure_buckets(store.model_copy(update={"bucket_names": {**BUCKETS, LANDING_ZONE: "example-new"}}))


def test_wrong_keys_are_named_and_not_shown(store: ObjectStoreResource) -> None:
    done = _run(MINIO_ROOT_PASSWORD="nobodys-secret")
    assert done.returncode == 1
    assert "SignatureDoesNotMatch" in done.stderr
    assert "MINIO_ROOT_USER and MINIO_ROOT_PASSWORD" in done.stderr
    assert "nobodys-secret" not in done.stderr


def test_one_key_without_the_other_is_no_identity(store: ObjectStoreResource) -> None:
    with pytest.raises(ValueError, match="MINIO_ROOT_USER and MINIO_ROOT_PASSWORD are set together"):
        store.model_copy(update={"secret_key": ""}).bucket(LANDING_ZONE)


@pytest.fixture
def identity(managed_s3: ManagedS3, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of a workload that has an identity, as a provider's agent on Kubernetes sets them.

    Keys that the store itself gave for an hour come from an address of loopback, against a token from a file.
    """
    import boto3

    user = {"aws_access_key_id": S3_USER, "aws_secret_access_key": managed_s3.password}
    address = {"endpoint_url": f"https://localhost:{managed_s3.port}", "region_name": "us-east-1"}
    sts = boto3.client("sts", **address, **user, verify=str(managed_s3.authority.certificate))
    given = sts.assume_role(RoleArn="arn:aws:iam::1:role/any", RoleSessionName="one")["Credentials"]
    answer = {name: given[name] for name in ("AccessKeyId", "SecretAccessKey")} | {"Token": given["SessionToken"]}
    answer["Expiration"] = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    token = tmp_path / "token"
    token.write_text("who I am")

    class Agent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == "who I am"
            self.send_response(200 if known else 401)
            self.end_headers()
            self.wfile.write(json.dumps(answer if known else {}).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that is overridden
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Agent) as agent:
        threading.Thread(target=agent.serve_forever, daemon=True).start()
        yield {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{agent.server_address[1]}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
        }
        agent.shutdown()


def test_a_workloads_identity_takes_the_place_of_keys(
    store: ObjectStoreResource, identity: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"):
        monkeypatch.delenv(name)
    for name, value in identity.items():
        monkeypatch.setenv(name, value)
    own = ObjectStoreResource.from_process()
    key = f"by_identity_{secrets.token_hex(4)}"
    obstore.put(own.bucket(DATA_LAKE), key, b"1")
    assert bytes(obstore.get(store.bucket(DATA_LAKE), key).bytes()) == b"1"
    assert _run().returncode == 0


def test_without_keys_and_without_an_identity_the_variables_are_named(store: ObjectStoreResource) -> None:
    done = _run(MINIO_ROOT_USER="", MINIO_ROOT_PASSWORD="", AWS_EC2_METADATA_DISABLED="true")
    assert done.returncode == 1
    assert "no keys: set MINIO_ROOT_USER and MINIO_ROOT_PASSWORD" in done.stderr


def _run(**variables: str) -> subprocess.CompletedProcess[str]:
    """The hook, with the environment of the test and some of its own."""
    command = [sys.executable, "-m", "terrane.object_store.buckets"]
    environment = os.environ | variables
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_an_untrusted_store_is_not_tried_again_and_its_variable_is_named(
    store: ObjectStoreResource, managed_s3: ManagedS3
) -> None:
    another = store.model_copy(update={"ca_file": str(managed_s3.authority.another)})
    with pytest.raises(obstore.exceptions.BaseError) as refused:
        obstore.put(another.bucket(LANDING_ZONE), "a", b"1")
    assert not is_temporary(refused.value)
    assert message_of(refused.value).endswith("; see AWS_CA_BUNDLE")


@pytest.mark.parametrize("changed", ["access_key", "secret_key"])
def test_keys_that_are_refused_are_not_tried_again_and_a_store_that_does_not_answer_is(
    store: ObjectStoreResource, changed: str
) -> None:
    bucket = store.model_copy(update={changed: "another-one"}).bucket(DATA_LAKE)
    for ask in (lambda: obstore.put(bucket, "a", b"1"), lambda: obstore.get(bucket, "a"), lambda: list(bucket.list())):
        with pytest.raises(obstore.exceptions.BaseError) as refused:
            ask()
        assert not is_temporary(refused.value)
        assert message_of(refused.value).endswith("; see MINIO_ROOT_USER and MINIO_ROOT_PASSWORD, and their policy")
    nobody = store.model_copy(update={"endpoint": f"127.0.0.1:{free_port()}"}).bucket(DATA_LAKE)
    with pytest.raises(obstore.exceptions.BaseError) as away:
        obstore.put(nobody, "a", b"1")
    assert is_temporary(away.value)
