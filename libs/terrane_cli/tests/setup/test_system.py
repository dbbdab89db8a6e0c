"""What is missing is installed, or a person is told exactly what to type."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from terrane_cli.commands import CliError, run
from terrane_cli.setup import system

pytestmark = pytest.mark.unit


def test_everything_the_stores_need_is_found_on_a_machine_that_was_set_up() -> None:
    assert [r.name for r in system.requirements(None) if not r.good] == []


def test_nothing_is_installed_when_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "install", lambda packages: pytest.fail(f"installed {packages}"))
    system.install_missing(None)


def test_a_cluster_asks_for_no_server_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.postgres, "find_installation", lambda: None)
    monkeypatch.setattr(system, "install", lambda packages: pytest.fail(f"installed {packages}"))
    system.install_missing("uv", stores=False)
    with pytest.raises(pytest.fail.Exception, match="postgresql"):
        system.install_missing("uv")


def test_without_root_or_sudo_the_message_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_elevation", lambda: None)
    monkeypatch.setattr(system.sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(CliError) as told:
        system.install(["postgresql-17", "redis-server"])
    assert "sudo apt-get install -y --no-install-recommends postgresql-17 redis-server" in str(told.value)


def test_on_a_mac_without_homebrew_the_message_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.sys, "platform", "darwin")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(CliError, match="Homebrew is missing, and with it: postgis redis"):
        system.install(["postgis", "redis"])


def test_homebrew_calls_the_packages_by_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.sys, "platform", "darwin")
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/homebrew/bin/{name}")
    assert system.packages_for(["PostGIS", "Redis"]) == ["postgis", "redis"]


def test_nothing_of_postgres_there_means_the_distributions_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.postgres, "find_installation", lambda: None)
    packages = system.packages_for(["PostgreSQL", "PostGIS", "Redis", system.VENV])
    assert packages[:3] == ["postgresql", "postgresql-postgis", "redis-server"]
    assert packages[3].endswith("-venv")


@pytest.mark.skipif(not shutil.which("apt-cache"), reason="Debian's packages, where there is apt")
def test_apt_knows_the_packages_that_would_be_installed() -> None:
    for package in system.packages_for(["PostgreSQL", "PostGIS", "Redis"]):
        shown = subprocess.run(["apt-cache", "show", package], capture_output=True, text=True)
        assert shown.returncode == 0, package


def test_a_package_manager_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CliError, match=r"`sh -c echo no space; exit 4` failed with code 4:\n  no space"):
        run(["sh", "-c", "echo no space; exit 4"])
