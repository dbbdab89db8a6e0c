"""What an install says when it is done, and what `helm test` asks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.charts.conftest import Rendering
from tests.charts.rendering import SETTINGS, Command, profile_values, template

pytestmark = pytest.mark.unit
ABOUT_OUR_CHARTS_ALONE = True

# `helm template` renders the notes and leaves them out; here they are an object.
AS_AN_OBJECT = """
apiVersion: v1
kind: ConfigMap
metadata: {name: notes-of-the-release}
data: {text: {{ include "terrane.notes" . | toJson }}}
"""
Answers = dict[str, tuple[int, Any]]


@pytest.fixture(scope="module")
def notes(charts: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    copy = tmp_path_factory.mktemp("notes") / "platform"
    shutil.copytree(charts / "platform", copy)
    (copy / "templates/notes-of-the-release.yaml").write_text(AS_AN_OBJECT)

    def read(profile: str, *settings: str, **fields: Any) -> str:
        whole = (*SETTINGS.get(profile, ()), *settings)
        command = Command(copy, profile_values(charts, profile), whole, **fields)
        return template(command).get("ConfigMap", "notes-of-the-release")["data"]["text"]

    return read


def test_without_an_ingress_the_way_to_the_ui_is_a_command(notes: Callable[..., str], rendered: Rendering) -> None:
    text = notes("default", namespace="data")
    assert "kubectl --namespace data port-forward service/terrane-dagster-webserver 3001" in text
    assert "http://localhost:3001" in text
    service = rendered("default").get("Service", "terrane-dagster-webserver")
    assert [p["port"] for p in service["spec"]["ports"]] == [3001]


def test_the_ingresses_are_named_as_they_are(notes: Callable[..., str], rendered: Rendering) -> None:
    for profile, scheme in (("kind", "http"), ("production", "https")):
        text = notes(profile)
        rules = [r for o in rendered(profile).of("Ingress") for r in o["spec"]["rules"]]
        hosts = {r["host"] for r in rules if not r["host"].startswith("look.")}
        assert len(hosts) == 2
        assert [host for host in hosts if f"{scheme}://{host}" not in text] == []


def test_the_next_command_is_named_with_release_and_namespace(notes: Callable[..., str]) -> None:
    assert "helm test rock --namespace data --logs" in notes("default", release="rock", namespace="data")


CHECKED = ("warehouse.sslMode=verify-full", "dagster.postgresql.postgresqlParams.sslmode=verify-full")
# What is open in the profile of kind, and the values that close it.
OPEN = {
    "The UI has no login: whoever reaches": ("dagster.ingress.enabled=false",),
    "dagster.localhost is not encrypted": ("dagster.ingress.enabled=false",),
    "may read all features": ("featureServer.accessSecret=keys",),
    "features.localhost is not encrypted": ("featureServer.ingress.tlsSecret=c",),
    "may connect to the stores": ("networkPolicy.enabled=true",),
    "Connections to terrane-postgres are not encrypted": (
        "postgres.tls.enabled=true",
        "postgres.tls.secretName=c",
        *CHECKED,
    ),
    "Connections to terrane-postgis are not encrypted": (
        "postgis.tls.enabled=true",
        "postgis.tls.secretName=c",
        "spatial.sslMode=verify-full",
    ),
    "Connections to terrane-redis are not encrypted": (
        "redis.tls.enabled=true",
        "redis.tls.secretName=c",
        "onlineStore.tls=true",
    ),
    "MinIO gets no repairs": ("minio.enabled=false", "s3.endpoint=https://s3.example.com"),
    "come from a sample": ("source.sample.enabled=false",),
}
HOSTS = (
    "networkPolicy.enabled=false",
    "dagster.ingress.dagsterWebserver.host=dagster.localhost",
    "featureServer.ingress.host=features.localhost",
)


def test_everything_that_is_open_is_named(notes: Callable[..., str]) -> None:
    text = notes("kind", *HOSTS)
    assert [sentence for sentence in OPEN if sentence not in text] == []
    assert len(text.split("OPEN")[1].strip().splitlines()) == len(OPEN)


UNCHECKED = {
    "(warehouse.sslMode)": "warehouse.sslMode=require",
    "(spatial.sslMode)": "spatial.sslMode=verify-ca",
    "(onlineStore.tls)": "onlineStore.tls=false",
    "(dagster.postgresql.postgresqlParams.sslmode)": "dagster.postgresql.postgresqlParams.sslmode=require",
    "Connections to http://s3.example.com are not encrypted": "s3.endpoint=http://s3.example.com",
}


def test_stores_of_others_are_open_where_nobody_checks_who_answers(notes: Callable[..., str]) -> None:
    assert [sentence for sentence in UNCHECKED if sentence in notes("production")] == []
    for sentence, setting in UNCHECKED.items():
        assert sentence in notes("production", setting), sentence


def test_what_is_closed_is_not_named(notes: Callable[..., str]) -> None:
    text = notes("kind", *HOSTS, *(setting for settings in OPEN.values() for setting in settings))
    assert "OPEN\n  Nothing that this chart knows of." in text


@contextmanager
def server(answers: Answers) -> Iterator[str]:
    """The address of a server that answers each path as it is told to, a pair for one without and with a key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = f"{self.path} {self.headers['X-API-Key']}" if self.headers["X-API-Key"] else self.path
            status, content = answers.get(path, (404, {}))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that is overridden
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}"
    finally:
        listening.shutdown()
        listening.server_close()


@pytest.fixture
def run_test(rendered: Rendering) -> Callable[..., tuple[int, str]]:
    """Runs a test pod's program against a server: the exit code and what it says."""

    def run(name: str, answers: Answers, *settings: str, **variables: str) -> tuple[int, str]:
        pod = rendered("default", *settings).get("Pod", f"terrane-test-{name}")
        (container,) = pod["spec"]["containers"]
        with server(answers) as address:
            own = {v["name"]: v["value"] for v in container["env"]}
            own |= {key: address for key in own if key.endswith("_URL")}
            command = [sys.executable, *container["command"][1:], *container["args"]]
            path = {"PATH": os.environ["PATH"]}
            done = subprocess.run(command, env={**path, **own, **variables}, capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_tests_are_pods_of_helm_test(rendered: Rendering) -> None:
    pods = rendered("default").of("Pod")
    assert {p["metadata"]["annotations"]["helm.sh/hook"] for p in pods} == {"test"}
    assert {p["spec"]["restartPolicy"] for p in pods} == {"Never"}
    assert len(pods) == 2
    assert rendered("default", "featureServer.enabled=false").names("Pod") == {"terrane-test-ui"}


def test_they_ask_services_of_the_release(rendered: Rendering) -> None:
    default = rendered("default")
    ports = {(o["metadata"]["name"], p["port"]) for o in default.of("Service") for p in o["spec"]["ports"]}
    for pod in default.of("Pod"):
        (url,) = [v["value"] for v in pod["spec"]["containers"][0]["env"] if v["name"].endswith("_URL")]
        host, port = url.removeprefix("http://").split(":")
        assert (host, int(port)) in ports


def workspace(*locations: tuple[str, str, str | None]) -> Answers:
    entries = [
        {"name": n, "loadStatus": status, "locationOrLoadError": {"message": error} if error else {}}
        for n, status, error in locations
    ]
    return {
        "/server_info": (200, {"dagster_webserver_version": "1.13.27"}),
        "/graphql": (200, {"data": {"workspaceOrError": {"locationEntries": entries}}}),
    }


def test_the_ui_is_asked_for_its_locations(run_test: Callable[..., tuple[int, str]]) -> None:
    good = run_test("ui", workspace(("spatial", "LOADED", None), ("analytics", "LOADED", None)))
    assert good == (0, "Dagster 1.13.27 has loaded analytics, spatial\n")
    code, said = run_test(
        "ui", workspace(("spatial", "LOADED", "No module named 'gdal'"), ("analytics", "LOADED", None))
    )
    assert (code, said) == (1, "spatial: No module named 'gdal'\n")
    assert run_test("ui", workspace(("spatial", "LOADING", None))) == (1, "spatial is loading\n")
    assert run_test("ui", workspace()) == (1, "the UI knows no code location\n")
    code, said = run_test("ui", {})
    assert code == 1
    assert "does not answer as Dagster does" in said


QUESTION = "/get-online-features"
ANSWER = (200, {"metadata": {"feature_names": ["user_id", "entries_total"]}})
REFUSED = (401, {"detail": "send an API key"})


def test_the_feature_server_is_asked_for_features(run_test: Callable[..., tuple[int, str]]) -> None:
    assert run_test("features", {QUESTION: ANSWER}) == (0, "answered user_id, entries_total\n")
    empty = (503, {"detail": "no definitions have been applied yet: materialise feast/registry"})
    code, said = run_test("features", {QUESTION: empty})
    assert code == 1
    assert "503" in said
    assert "materialise feast/registry" in said


def test_a_feature_server_that_is_to_ask_for_a_key_must_refuse_without_one(
    run_test: Callable[..., tuple[int, str]],
) -> None:
    closed, secret = "featureServer.accessSecret=keys", {"FEATURE_SERVER_API_KEYS": "one, two"}
    guarded = {QUESTION: REFUSED, f"{QUESTION} one": ANSWER}
    assert run_test("features", guarded, closed, **secret) == (0, "answered user_id, entries_total\n")
    code, said = run_test("features", {QUESTION: ANSWER, f"{QUESTION} one": ANSWER}, closed, **secret)
    assert code == 1
    assert "is to ask for a key or a token, and answered 200 without one" in said
    # Tokens alone: nothing is at hand to ask on with, and that is said.
    code, said = run_test("features", guarded, closed)
    assert code == 0
    assert "holds no key to ask on with" in said
