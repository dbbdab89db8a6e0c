"""What is rendered for stores of others works on real servers, with TLS, users and policies."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster_postgres.utils import DagsterPostgresException
from tests.charts.conftest import Rendering
from tests.charts.rendering import CERTIFICATES, Object

from terrane.object_store.buckets import main as look_into_buckets
from terrane_dev.managed_stores import OWNER, REDIS_USER, ManagedPostgres, ManagedRedis, ManagedS3

pytestmark = pytest.mark.integration


@pytest.fixture
def managed(
    managed_postgres: ManagedPostgres,
    managed_s3: ManagedS3,
    rendered: Rendering,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Object:
    """Production's dagster.yaml and the variables of its pods, with the tests' servers in the place of a provider's."""
    address, variables = managed_s3.root.url(), managed_s3.variables()
    buckets = {"landingZone": "LANDING_ZONE", "dataLake": "DATA_LAKE", "computeLogs": "COMPUTE_LOGS"}
    names = (f"s3.buckets.{value}={variables[f'{name}_BUCKET']}" for value, name in buckets.items())
    render = rendered("production", f"s3.endpoint={address}", "s3.region=us-east-1", "s3.caFile=s3.crt", *names)
    folder = tmp_path / "authorities"
    folder.mkdir()
    for name in ("postgres.crt", "s3.crt"):
        (folder / name).write_text(managed_postgres.authority.certificate.read_text())
    given: dict[str, str] = render.get("ConfigMap", "terrane-s3-address")["data"]
    for name, value in given.items():
        monkeypatch.setenv(name, value.replace(CERTIFICATES, str(folder)))
    keys = {"ACCESS_KEY_ID": "ROOT_USER", "SECRET_ACCESS_KEY": "ROOT_PASSWORD"}
    for name, source in keys.items():
        monkeypatch.setenv(f"AWS_{name}", variables[f"MINIO_{source}"])
        monkeypatch.setenv(f"MINIO_{source}", variables[f"MINIO_{source}"])
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", managed_postgres.password)
    config: Object = yaml.safe_load(render.instance().replace(CERTIFICATES, str(folder)))
    # Whose these are in production, and what the lab has instead.
    for part in ("run_storage", "event_log_storage", "schedule_storage"):
        own = {"hostname": "localhost", "port": managed_postgres.port, "username": OWNER, "db_name": OWNER}
        config[part]["config"]["postgres_db"] |= own
    # A launcher looks for a cluster when it is made.
    config["run_launcher"] = {"module": "dagster", "class": "DefaultRunLauncher"}
    config["folder"] = folder
    return config


def _instance(config: Object, home: Path) -> Any:
    from dagster import DagsterInstance

    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(yaml.safe_dump({k: v for k, v in config.items() if k != "folder"}))
    return DagsterInstance.from_config(str(home))


def test_dagster_keeps_runs_and_logs_in_managed_stores(managed: Object, managed_s3: ManagedS3, tmp_path: Path) -> None:
    from dagster import job, op

    from terrane.object_store import s3_client

    words = f"said by the run {secrets.token_hex(4)}"

    @op
    def speak() -> None:
        print(words)

    @job
    def talk() -> None:
        speak()

    with _instance(managed, tmp_path / "home") as instance:
        instance.upgrade()
        done = talk.execute_in_process(instance=instance)
        assert done.success
        assert instance.get_run_by_id(done.run_id).is_finished
        (encrypted,) = {row[0] for row in _rows(instance, "select ssl from pg_stat_ssl where pid = pg_backend_pid()")}
        assert encrypted
    listed = s3_client(managed_s3.root).list_objects_v2(Bucket="example-data-lake", Prefix="one/team/runs/")
    texts = []
    for found in listed["Contents"]:
        if done.run_id in found["Key"] and found["Key"].endswith(".out"):
            content = s3_client(managed_s3.root).get_object(Bucket="example-data-lake", Key=found["Key"])
            texts.append(content["Body"].read().decode())
    assert any(words in text for text in texts)


def test_dagster_refuses_a_server_that_is_not_the_one(
    managed: Object, managed_postgres: ManagedPostgres, tmp_path: Path
) -> None:
    (managed["folder"] / "postgres.crt").write_text(managed_postgres.authority.another.read_text())
    with pytest.raises(DagsterPostgresException) as refused:
        _instance(managed, tmp_path / "home").get_runs()
    # Dagster says how often it tried, and why in what that was raised from.
    assert "certificate verify failed" in str(refused.value.__cause__)
    assert managed_postgres.password not in str(refused.value.__cause__)


def test_the_hook_looks_into_the_buckets_with_what_its_pod_has(
    managed: Object, managed_s3: ManagedS3, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look_into_buckets([]) == 0
    monkeypatch.setenv("COMPUTE_LOGS_BUCKET", "compute-logs")
    assert look_into_buckets([]) == 1
    told = capsys.readouterr().err
    assert "compute-logs may not be used" in told
    assert managed_s3.password not in told


def test_celery_reaches_its_broker_and_its_results(
    managed_redis: ManagedRedis, rendered: Rendering, monkeypatch: pytest.MonkeyPatch
) -> None:
    from celery import Celery

    own = (f"celery.host=localhost,celery.port={managed_redis.port},celery.user={REDIS_USER},celery.tls=true",)
    secret = rendered("celery", *own, f"celery.caFile={managed_redis.authority.certificate}").secrets()
    password = secret["terrane-broker"]["BROKER_PASSWORD"]

    def app(old: str, new: str) -> Celery:
        urls = [secret["terrane-celery"][f"DAGSTER_CELERY_{kind}_URL"] for kind in ("BROKER", "BACKEND")]
        broker, backend = (url.replace(password, managed_redis.password).replace(old, new) for url in urls)
        return Celery("dagster", broker=broker, backend=backend)

    right = app("", "")
    queue = f"q{secrets.token_hex(4)}"
    right.send_task("execute_plan", queue=queue, retry=False)
    with right.connection_for_read() as connection, connection.SimpleQueue(queue) as waiting:
        assert waiting.get(timeout=5).headers["task"] == "execute_plan"
    right.backend.set("terrane", b"1")
    assert right.backend.get("terrane") == b"1"
    authority = managed_redis.authority
    wrong = [
        (str(authority.certificate), str(authority.another), "certificate"),
        (f"//{REDIS_USER}:", "//nobody:", "invalid"),
    ]
    for old, new, reason in wrong:
        with pytest.raises(Exception, match=f"(?i){reason}") as refused:
            app(old, new).connection_for_write().ensure_connection(max_retries=1, timeout=3)
        assert managed_redis.password not in str(refused.value)


def _rows(instance: Any, query: str) -> list[tuple[Any, ...]]:
    import sqlalchemy

    with instance.run_storage.connect() as connection:
        return [tuple(row) for row in connection.execute(sqlalchemy.text(query))]
