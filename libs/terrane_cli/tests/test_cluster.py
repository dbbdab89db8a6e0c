"""What is asked of a cluster and cannot be had is named before anything is made."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from terrane_cli.cluster import access, building, kind, kubernetes, preflight
from terrane_cli.cluster.status import cause
from terrane_cli.commands import CliError
from terrane_cli.main import app
from terrane_cli.project import Project
from terrane_dev.servers.process import free_port

pytestmark = pytest.mark.unit

GB = 2**30


def test_an_unknown_profile_is_refused_with_those_there_are() -> None:
    with pytest.raises(CliError, match="there is no profile production; skaffold.yaml has celery"):
        app(["cluster", "up", "--profile", "production"])


def test_a_helm_that_is_named_goes_before_the_one_of_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = tmp_path / "helm"
    named.write_text("#!/bin/sh\n")
    named.chmod(0o755)
    monkeypatch.setenv("TERRANE_HELM", str(named))
    monkeypatch.setenv("PATH", os.environ["PATH"])
    kubernetes.use_named_helm()
    assert shutil.which("helm") == str(named)


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets the variable that names the cluster's ports."""
    return lambda given: monkeypatch.setenv(kubernetes.PORTS_VARIABLE, given)


def test_a_cluster_listens_on_80_and_443_of_this_machine_alone_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, ports: Callable[[str], None]
) -> None:
    monkeypatch.delenv(kubernetes.PORTS_VARIABLE, raising=False)
    assert _mapped() == {80: 80, 443: 443}
    ports("8080,8443")
    assert _mapped() == {80: 8080, 443: 8443}


@pytest.mark.parametrize("given", ["8080", "8080,", "80,80", "http,https", "0,443", "1,2,3", "80,70000"])
def test_ports_that_are_not_two_are_refused_with_what_was_given(ports: Callable[[str], None], given: str) -> None:
    ports(given)
    with pytest.raises(CliError, match=f"{kubernetes.PORTS_VARIABLE} is two ports.*{given}"):
        kubernetes.wanted_ports()
    (finding,) = preflight._ports()
    assert not finding.good
    assert given in finding.detail


def test_a_port_that_is_taken_is_named_with_the_way_to_another(ports: Callable[[str], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        ports(f"{port},{free_port()}")
        taken, free = preflight._ports()
    assert (taken.name, taken.good, free.good) == (f"port {port}", False, True)
    assert f"{kubernetes.PORTS_VARIABLE}=8080,8443" in taken.detail


def test_the_memory_of_an_engine_in_a_virtual_machine_is_its_own() -> None:
    machine, free = 64 * GB, 40 * GB
    assert not preflight.memory_finding(4 * GB, machine, free).good
    assert "give its virtual machine more" in preflight.memory_finding(4 * GB, machine, free).detail
    assert preflight.memory_finding(8 * GB, machine, 1 * GB).good


def test_of_an_engine_on_the_machine_itself_what_is_free_counts() -> None:
    assert not preflight.memory_finding(64 * GB, 64 * GB, 3 * GB).good
    assert preflight.memory_finding(64 * GB, 64 * GB + 1, 7 * GB).good


@pytest.mark.parametrize(
    ("modified", "deleted", "changed"),
    [
        (None, None, True),
        ("libs/terrane/a.py;dbt/models/b.sql", "", True),
        ("dbt/models/b.sql;defs/defs.yaml", "", False),
        ("", "code.py", True),
    ],
)
def test_a_server_starts_again_for_code_alone(
    monkeypatch: pytest.MonkeyPatch, modified: str | None, deleted: str | None, changed: bool
) -> None:
    for name, files in (("ADDED_OR_MODIFIED", modified), ("DELETED", deleted)):
        if files is None:
            monkeypatch.delenv(f"SKAFFOLD_FILES_{name}", raising=False)
        else:
            monkeypatch.setenv(f"SKAFFOLD_FILES_{name}", files)
    assert access.code_changed() is changed


def test_an_image_that_there_is_not_is_refused_before_anything_is_built() -> None:
    with pytest.raises(CliError, match="there is no image sea; there are .*dagster"):
        building.build(Project.here(), building.Build("1.2.3"), ["dagster", "sea"])


def test_of_a_log_the_last_line_that_names_an_error_is_told() -> None:
    log = """Traceback (most recent call last):
  File "definitions.py", line 3, in <module>
ModuleNotFoundError: No module named 'rasterio'
shutting down
"""
    assert cause(log) == "ModuleNotFoundError: No module named 'rasterio'"


def test_of_a_log_without_errors_the_last_line_is_told() -> None:
    assert cause("starting\nlistening on 4000\n\n") == "listening on 4000"


def test_an_empty_log_is_told_as_such() -> None:
    assert cause("") == "it said nothing"


def test_the_ingress_controller_has_one_version_and_no_other_tomorrow() -> None:
    manifest = (Project.here().root / kind.INGRESS).read_text()
    (image,) = kind.ingress_images(manifest)
    assert re.fullmatch(r"docker\.io/library/traefik:v\d+\.\d+\.\d+", image)


def _mapped() -> dict[int, int]:
    """The ports of this machine, by those of the node; on loopback all of them."""
    (node,) = kind.configuration(Project.here(), kubernetes.wanted_ports())["nodes"]
    mappings = node["extraPortMappings"]
    assert {mapping["listenAddress"] for mapping in mappings} == {"127.0.0.1"}
    return {mapping["containerPort"]: mapping["hostPort"] for mapping in mappings}
