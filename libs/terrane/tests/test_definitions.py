"""A bad definition stops itself alone where a platform runs, and stops everything where it is checked."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from terrane.definitions import load_definitions

pytestmark = pytest.mark.unit

PYPROJECT = '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "atlas"\n'
ASSET = "import dagster as dg\n\n@dg.asset(key=['raw', '{0}'])\ndef {0}() -> None: ...\n"
JOB = """type: terrane.components.ScheduledJob
attributes:
  name: nightly
  selection: 'key:"raw/{0}"'
  cron_schedule: "0 3 * * *"
  description: Once a night.
"""
REFERRING = """import dagster as dg

of_places = dg.define_asset_job("of_places", selection=dg.AssetSelection.assets(["raw", "places"]))
"""
Location = Callable[[dict[str, str]], Path]


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Location]:
    """Writes a location `atlas` with these files below `defs`; the folder of its package."""
    monkeypatch.setenv("TERRANE_BROKEN_DEFINITIONS", "left_out")
    monkeypatch.syspath_prepend(str(tmp_path / "src"))

    def write(files: dict[str, str]) -> Path:
        package = tmp_path / "src/atlas"
        (package / "defs").mkdir(parents=True)
        (tmp_path / "pyproject.toml").write_text(PYPROJECT)
        for file in ("__init__.py", "defs/__init__.py"):
            (package / file).touch()
        for name, text in files.items():
            (package / "defs" / name).parent.mkdir(parents=True, exist_ok=True)
            (package / "defs" / name).write_text(text)
        importlib.invalidate_caches()
        return package

    yield write
    for name in [name for name in sys.modules if name.split(".")[0] == "atlas"]:
        del sys.modules[name]


def _keys(definitions: dg.Definitions) -> set[str]:
    return {key.to_user_string() for key in definitions.resolve_asset_graph().materializable_asset_keys}


@pytest.mark.parametrize(
    ("files", "place", "reason"),
    [
        ({"bad.py": "import dagster as dg\n\nraise ValueError('no rivers')\n"}, "bad.py:3", "no rivers"),
        ({"bad.py": "def (\n"}, "bad.py:1", "invalid syntax"),
        ({"bad.py": "import no_such_package\n"}, "bad.py:1", "No module named 'no_such_package'"),
        ({"bad/defs.yaml": JOB.format("users") + "  naem: x\n"}, "bad/defs.yaml:7", "naem"),
        ({"bad/defs.yaml": "type: terrane.components.NoSuch\n"}, "bad/defs.yaml:1", "NoSuch"),
        ({"bad/defs.yaml": "type: [\n"}, "bad/defs.yaml:2", "expected"),
        ({"deep/er/bad.py": "raise ValueError('deep')\n"}, "deep/er/bad.py:1", "deep"),
    ],
)
def test_the_others_load_and_the_bad_one_is_shown_with_file_line_and_reason(
    location: Location, files: dict[str, str], place: str, reason: str
) -> None:
    package = location({"users.py": ASSET.format("users"), "more/places.py": ASSET.format("places"), **files})
    definitions = load_definitions(package)
    name = "src_atlas_defs_" + place.split(":")[0].replace("/", "_").replace(".", "_")
    assert _keys(definitions) == {"raw/users", "raw/places", f"broken/{name}"}
    described = definitions.resolve_asset_graph().get(dg.AssetKey(["broken", name])).description or ""
    assert described.startswith(f"src/atlas/defs/{place} does not load: ")
    assert reason in described


def test_what_stands_for_a_bad_file_fails_when_it_is_run(location: Location) -> None:
    package = location({"bad.py": "raise ValueError('no rivers')\n"})
    definitions = load_definitions(package)
    job = definitions.resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(raise_on_error=False)
    assert not done.success
    failure = done.all_node_events[-1].event_specific_data
    assert "no rivers" in str(failure)


def test_two_bad_files_are_both_shown(location: Location) -> None:
    package = location({"one.py": "raise ValueError('1')\n", "two.py": "raise ValueError('2')\n"})
    assert _keys(load_definitions(package)) == {"broken/src_atlas_defs_one_py", "broken/src_atlas_defs_two_py"}


def test_a_second_file_of_the_same_asset_is_the_bad_one(location: Location) -> None:
    package = location({"a.py": ASSET.format("users"), "b.py": ASSET.format("users")})
    definitions = load_definitions(package)
    assert _keys(definitions) == {"raw/users", "broken/src_atlas_defs_b_py"}
    described = definitions.resolve_asset_graph().get(dg.AssetKey(["broken", "src_atlas_defs_b_py"])).description or ""
    assert "the asset raw/users is defined in a.py already" in described


def test_a_job_of_an_asset_that_is_left_out_is_left_out_with_it_and_no_other_job_is(location: Location) -> None:
    files = {
        "users.py": ASSET.format("users"),
        "places.py": "raise ValueError('no places')\n",
        "of_users/defs.yaml": JOB.format("users"),
        "of_places.py": REFERRING,
    }
    definitions = load_definitions(location(files), dg.Definitions(resources={"thing": 1}))
    dg.Definitions.validate_loadable(definitions)
    assert {job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")} == {"nightly"}
    assert _keys(definitions) == {
        "raw/users",
        "broken/src_atlas_defs_places_py",
        "broken/src_atlas_defs_of_places_py",
    }


def test_with_nothing_bad_it_is_what_dagster_loads(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    package = location({"users.py": ASSET.format("users"), "deep/job/defs.yaml": JOB.format("users")})
    tolerant = load_definitions(package)
    monkeypatch.delenv("TERRANE_BROKEN_DEFINITIONS")
    strict = load_definitions(package)
    for loaded in (tolerant, strict):
        assert _keys(loaded) == {"raw/users"}
        assert [schedule.name for schedule in loaded.schedules or ()] == ["nightly_schedule"]


def test_where_it_is_checked_a_bad_file_fails_everything(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERRANE_BROKEN_DEFINITIONS")
    package = location({"users.py": ASSET.format("users"), "bad.py": "raise ValueError('no rivers')\n"})
    with pytest.raises(Exception, match="no rivers"):
        load_definitions(package)


def test_an_error_beside_the_files_is_not_left_out(location: Location) -> None:
    package = location({"users.py": ASSET.format("users")})
    bad = dg.Definitions(jobs=[dg.define_asset_job("bad", selection=dg.AssetSelection.assets("no"))])
    with pytest.raises(Exception, match="asset job bad"):
        dg.Definitions.validate_loadable(load_definitions(package, bad))
