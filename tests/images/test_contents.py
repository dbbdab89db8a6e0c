"""What is inside the images, and what is not."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable

import pytest
from tests.images.containers import IMAGES, REVISION, ROOT, Image, docker, exported_files, history

from terrane_cli.locations.description import Kind, read_location
from terrane_cli.project import Project

pytestmark = pytest.mark.cluster

# MB on top of the base image, as `docker image inspect` counts: what was measured and a tenth more, so that a package
# too many is seen. A location.yaml says it of its image.
LARGEST_MB = {"dagster": 450, "minio": 125, "pgbouncer": 12, "postgis": 450, "source": 40}
LABELS = ("title", "description", "version", "revision", "source")
BASE = re.compile(r"^ARG (?:PYTHON|POSTGRES)=(\S+)", re.MULTILINE)
SECRET = re.compile(r"(?i)password|secret|token|api_?key|BEGIN [A-Z ]*PRIVATE KEY")
INDEX = re.compile(r"(?i)index[_-]url|/simple\b|find[_-]links|(pip|uv)_(default_)?index|GOPROXY")
FILES_OF = """
import json, os
skipped = {"/proc", "/sys", "/dev"}
found = []
for folder, names, files in os.walk("/"):
    names[:] = [n for n in names if os.path.join(folder, n) not in skipped]
    found += [os.path.join(folder, f) for f in files]
print(json.dumps(found))
"""
# A cached file is what Python will use only when its header holds the time and size of the source.
WITHOUT_BYTECODE = """
import importlib, importlib.util, json, os, sys
importlib.import_module({module!r})
wanting = []
for module in list(sys.modules.values()):
    source = getattr(module, "__file__", None) or ""
    if source.endswith(".py"):
        cache, stat = importlib.util.cache_from_source(source), os.stat(source)
        header = open(cache, "rb").read(16) if os.path.exists(cache) else bytes(16)
        known = [int.from_bytes(header[i : i + 4], "little") for i in (8, 12)]
        if known != [int(stat.st_mtime) & 0xFFFFFFFF, stat.st_size & 0xFFFFFFFF]:
            wanting.append(source)
print(json.dumps([wanting, len(sys.modules)]))
"""
IMPORTS = {"dagster": "dagster_webserver.cli", "source": "source_api.server"}


def test_it_says_what_it_is_and_which_commit_it_was_built_from(image: Image, project: Project) -> None:
    labels = image.inspect()["Config"]["Labels"]
    said = {name: labels.get(f"org.opencontainers.image.{name}") for name in LABELS}
    assert said["title"] == f"terrane/{image.name}"
    assert said["revision"] == REVISION
    assert said["description"]
    assert said["source"] is not None
    if image.name in project.locations:
        text = (project.location_folder(image.name) / "pyproject.toml").read_text()
        described = tomllib.loads(text)["project"]
        assert (said["version"], said["description"]) == (described["version"], described["description"])


def test_it_runs_as_a_user_without_rights(image: Image) -> None:
    # Postgres' files belong to the user that its own image made.
    assert image.inspect()["Config"]["User"] == ("999:999" if image.name in ("pgbouncer", "postgis") else "1000:1000")


def test_it_is_no_larger_than_it_has_to_be(image: Image, project: Project) -> None:
    base = BASE.search((ROOT / IMAGES[image.name].dockerfile).read_text())
    below = _size_of(base[1]) if base else 0
    ours = image.name in project.locations
    largest = read_location(project, image.name).image_mb if ours else LARGEST_MB[image.name]
    assert (image.inspect()["Size"] - below) / 1e6 < largest


def test_neither_its_history_nor_its_variables_hold_a_secret_or_an_index(image: Image) -> None:
    told = history(image.tag) + image.inspect()["Config"]["Env"]
    assert len(told) > 5
    assert [line for line in told if SECRET.search(line) or INDEX.search(line)] == []


def test_no_file_configures_an_index_or_holds_a_key(python_image: Image) -> None:
    files = python_image.python(FILES_OF)
    assert len(files) > 1000
    configuring = ("/pip.conf", "/pip/pip.conf", "/uv.toml", "/.netrc", "/.pypirc", "/.env", "/id_rsa")
    assert [f for f in files if f.endswith(configuring)] == []


def test_what_its_first_import_reads_has_bytecode_the_standard_library_too(python_image: Image) -> None:
    module = IMPORTS.get(python_image.name, f"{python_image.name}.definitions")
    wanting, imported = python_image.python(WITHOUT_BYTECODE.format(module=module))
    assert imported > 100
    assert wanting == []


def test_gdal_is_in_spatial_locations_alone(python_image: Image, project: Project) -> None:
    gdal = [f for f in python_image.python(FILES_OF) if re.search(r"/(libgdal|_?gdal\w*\.so|gdal_\w+\.csv|gdalvrt)", f)]
    name = python_image.name
    assert bool(gdal) == (name in project.locations and read_location(project, name).kind is Kind.SPATIAL)


def test_a_location_holds_nothing_of_another(location: Image, project: Project) -> None:
    others = sorted({*project.locations, "terrane_cli", "source_api"} - {location.name})
    code = (
        "import importlib.util, json, os; "
        f"print(json.dumps([[n for n in {others} if importlib.util.find_spec(n)], os.listdir('/opt/terrane'), "
        "os.listdir('/opt/terrane/code_locations')]))"
    )
    importable, top, locations = location.python(code)
    assert importable == []
    assert locations == [location.name]
    beside = read_location(project, location.name).folders
    assert sorted(top) == sorted(["code_locations", "libs", *beside])


def test_webserver_and_daemon_hold_no_location(built: Callable[[str], Image], project: Project) -> None:
    code = (
        "import importlib.util, json, os; "
        f"importable = [n for n in {project.locations} if importlib.util.find_spec(n)]; "
        "print(json.dumps([importable, os.listdir('/opt/terrane')]))"
    )
    importable, top = built("dagster").python(code)
    assert importable == []
    assert sorted(top) == ["libs"]


def test_tests_environments_and_the_repository_stay_outside(python_image: Image) -> None:
    ours = [f for f in python_image.python(FILES_OF) if f.startswith("/opt/terrane/")]
    assert ours
    # The folder of this name in a Feast repository is what the build prepared of its definitions.
    strange = re.compile(
        r"/(\.git|\.venv|\.env)(/|$)|^/opt/terrane/(code_locations/\w+/)?\.terrane(/|$)|/test_\w+\.py$|requirements-dev"
    )
    assert [f for f in ours if strange.search(f)] == []


def test_minio_is_one_program(built: Callable[[str], Image]) -> None:
    files = {f for f in exported_files(built("minio").tag) if not f.startswith(("dev/", "proc/", "sys/", "."))}
    # The engine adds the files of /etc that every container has.
    assert files - {"etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab"} == {
        "usr/local/bin/minio",
        "etc/ssl/certs/ca-certificates.crt",
    }


def _size_of(base: str) -> int:
    """Of an image that others begin with, which building does not leave among the engine's images."""
    if docker("image", "inspect", base).returncode:
        pulled = docker("pull", "--quiet", base)
        assert pulled.returncode == 0, pulled.stderr
    return Image("base", base).inspect()["Size"]
