"""That images do their work as a cluster runs them: user 1000, a read-only root, /tmp and DAGSTER_HOME to write to."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable

import pytest
from tests.images.containers import Image, docker

pytestmark = pytest.mark.cluster

PATIENCE_S = 60
GET = "import sys, urllib.request as u; r = u.urlopen(sys.argv[1], timeout=5); print(r.status, r.read(500).decode())"
LOAD = """
import json, sys
started = []
sys.addaudithook(lambda event, arguments: started.append(str(arguments[1])) if event == "subprocess.Popen" else None)
import {name}.definitions
loaded = {name}.definitions.defs()
print(json.dumps([len(list(loaded.resolve_all_asset_specs())), started]))
"""
# What is told to nobody needs no home; the charts say so in the same file.
WEBSERVER = (
    "printf 'telemetry: {enabled: false}\n' > $DAGSTER_HOME/dagster.yaml && "
    "exec dagster-webserver --host 0.0.0.0 --port 3001 --empty-workspace"
)
UNREACHABLE = {
    "WAREHOUSE_HOST": "127.0.0.1",
    "WAREHOUSE_PORT": "1",
    "WAREHOUSE_USER": "warehouse",
    "WAREHOUSE_PASSWORD": "unset",
    "WAREHOUSE_DB": "warehouse",
    "REDIS_HOST": "127.0.0.1",
    "REDIS_PORT": "1",
    "REDIS_DB": "0",
    "REDIS_PASSWORD": "unset",
}
BUILT_FOR = UNREACHABLE | {"WAREHOUSE_HOST": "terrane-postgres", "WAREHOUSE_PORT": "5432"}
# The location's own way to dbt, without a server to build on.
PARSE = """
import json
from pathlib import Path
from terrane_dbt.dbt_project.cli import dbt_cli, dbt_project
dbt = dbt_cli(dbt_project(Path("/opt/terrane/dbt")))
dbt.cli(["--log-level-file", "debug", "parse"], target_path=Path("/tmp/t")).wait()
print(json.dumps(Path("/tmp/t/dbt.log").read_text()))
"""


def test_definitions_load_without_a_network_and_start_no_process(location: Image) -> None:
    assets, started = location.python(LOAD.format(name=location.name))
    assert assets > 0
    # `file` is asked for the word size of Python, by its own `platform.architecture`.
    assert [command for command in started if not command.startswith("['file'")] == []


def test_definitions_are_valid(location: Image) -> None:
    done = location.run("dagster", "definitions", "validate", "-m", f"{location.name}.definitions")
    assert done.returncode == 0, done.stderr[-4000:]


def test_a_code_server_answers_by_default(location: Image) -> None:
    with location.started() as name:
        until(name, lambda: docker("exec", name, "dagster", "api", "grpc-health-check", "-p", "4000").returncode == 0)


def test_a_code_server_that_reloads_answers_too(location: Image) -> None:
    command = ["dagster", "code-server", "start", "-h", "0.0.0.0", "-p", "4000", "-m", f"{location.name}.definitions"]
    with location.started(*command) as name:
        until(name, lambda: docker("exec", name, "dagster", "api", "grpc-health-check", "-p", "4000").returncode == 0)


def test_dbt_parses_nothing_for_the_warehouse_that_the_image_was_built_for(built: Callable[[str], Image]) -> None:
    log = built("analytics").python(PARSE, env=BUILT_FOR)
    assert "skipping parsing" in log
    assert "Unable to do partial parsing" not in log


def test_dbt_parses_again_for_another_warehouse(built: Callable[[str], Image]) -> None:
    log = built("analytics").python(PARSE, env=BUILT_FOR | {"WAREHOUSE_DB": "another"})
    assert "Unable to do partial parsing because profile has changed" in log


def test_the_feature_server_starts_and_says_what_it_lacks(built: Callable[[str], Image]) -> None:
    variables = tuple(f"--env={key}={value}" for key, value in UNREACHABLE.items())
    command = ["python", "-m", "terrane_features.server", "--host", "0.0.0.0", "--port", "6566"]
    with built("features").started(*command, options=variables) as name:
        until(name, lambda: inside(name, "http://127.0.0.1:6566/health").returncode == 0)
        refused = docker("exec", name, "python", "-c", GET, "http://127.0.0.1:6566/ready")
        assert "503" in refused.stderr
        # Long enough for Feast to have been imported and to have tried its registry.
        until(name, lambda: "127.0.0.1" in docker("logs", name).stderr)


def test_the_webserver_answers_without_locations(built: Callable[[str], Image]) -> None:
    with built("dagster").started("sh", "-c", WEBSERVER) as name:
        until(name, lambda: inside(name, "http://127.0.0.1:3001/server_info").returncode == 0)
        assert "1.13.27" in inside(name, "http://127.0.0.1:3001/server_info").stdout


def test_the_daemon_and_celery_s_worker_are_there(built: Callable[[str], Image]) -> None:
    code = "import json, dagster_celery_k8s.app, kombu.transport.redis as r; print(json.dumps(r.redis is not None))"
    assert built("dagster").python(code) is True
    assert built("dagster").run("dagster-daemon", "--version").stdout.strip().endswith("1.13.27")


def test_every_location_reaches_celery_s_broker_and_keeps_compute_logs(location: Image) -> None:
    code = (
        "import json, dagster_aws.s3, dagster_celery_k8s, dagster_k8s, kombu.transport.redis as r; "
        "print(json.dumps(r.redis is not None))"
    )
    assert location.python(code) is True


def test_spatial_s_gdal_finds_its_libraries(built: Callable[[str], Image]) -> None:
    code = (
        "import json, pyogrio, rasterio, pyproj, shapely; "
        "print(json.dumps([len(pyogrio.list_drivers()), rasterio.__gdal_version__, pyproj.CRS(3857).to_epsg()]))"
    )
    drivers, _, epsg = built("spatial").python(code)
    assert drivers > 0
    assert epsg == 3857


def test_the_source_serves_its_days(built: Callable[[str], Image]) -> None:
    with built("source").started(options=("--env=API_KEY=example",)) as name:
        until(name, lambda: inside(name, "http://127.0.0.1:8080/health").returncode == 0)


def test_minio_serves_s3_from_a_folder_of_its_own_user(built: Callable[[str], Image]) -> None:
    options = (
        "--publish=127.0.0.1::9000",
        "--tmpfs=/data:uid=1000,gid=1000",
        "--env=MINIO_ROOT_USER=example",
        "--env=MINIO_ROOT_PASSWORD=example-example",
    )
    with built("minio").started(network="bridge", options=options) as name:
        address = docker("port", name, "9000/tcp").stdout.splitlines()[0]

        def alive() -> bool:
            with urllib.request.urlopen(f"http://{address}/minio/health/live", timeout=2) as answer:
                return answer.status == 200

        until(name, alive)


def test_postgis_is_in_the_server_that_its_image_starts(built: Callable[[str], Image]) -> None:
    command = ["run", "--detach", "--network=none", "--env=POSTGRES_PASSWORD=example", built("postgis").tag]
    name = docker(*command).stdout.strip()

    def version() -> bool:
        query = "create extension if not exists postgis; select postgis_lib_version()"
        asked = docker("exec", name, "psql", "-h", "127.0.0.1", "-U", "postgres", "-tA", "-c", query)
        return asked.returncode == 0 and asked.stdout.splitlines()[-1].startswith("3.")

    try:
        until(name, version)
    finally:
        docker("rm", "--force", "--volumes", name)


def inside(container: str, url: str) -> subprocess.CompletedProcess[str]:
    return docker("exec", container, "python", "-c", GET, url)


def until(container: str, true: Callable[[], bool]) -> None:
    """Waits until it is true; fails with the container's log when it ended, or took too long."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if true():
                return
        except OSError:
            pass
        state = json.loads(docker("inspect", "--format={{json .State}}", container).stdout)
        if not state["Running"]:
            break
        time.sleep(0.5)
    log = docker("logs", "--tail=40", container)
    pytest.fail(f"not within {PATIENCE_S} s:\n{log.stdout}\n{log.stderr}")
