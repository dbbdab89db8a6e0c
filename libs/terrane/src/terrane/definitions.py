"""Loading what a location's `defs/` holds, where a bad definition stops itself alone.

Loading is strict unless TERRANE_BROKEN_DEFINITIONS is `left_out`: `dg check defs`, an image's build and CI fail by the
first file that does not load. A platform that runs sets it: the other files load, and in the place of each that does
not stands an asset `broken/<file>` that says why and whose run fails.

The pieces of Dagster's component tree that are used here are not public; tests hold them to the installed Dagster. A
load in which everything is good validates the location once more than Dagster's own; one in which something is not does
so once a unit, a unit being a folder with a defs.yaml or a Python file.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
from dagster.components.core.component_tree import ComponentTree
from dagster.components.core.context import ComponentDeclLoadContext
from dagster.components.core.decl import ComponentDecl, DefsFolderDecl, build_filesystem_component_decl_from_context
from dagster.components.core.defs_module import (
    EXPLICITLY_IGNORED_GLOB_PATTERNS,
    ComponentPath,
    DefsFolderComponent,
    context_with_injected_scope,
    find_defs_or_component_yaml,
)

from terrane.automation.by_environment import by_environment
from terrane.automation.updates import with_update_checks
from terrane.io_manager import of_process
from terrane.ownership import Ownership, ownership

VARIABLE = "TERRANE_BROKEN_DEFINITIONS"
LEFT_OUT = "left_out"
PREFIX = "broken"
YAML_PLACE = re.compile(r"([^\s\"'(]+\.ya?ml):(\d+)")
IN_YAML_MARK = re.compile(r'in "([^"]+\.ya?ml)", line (\d+)')


@dataclass(frozen=True)
class Broken:
    """A file that does not load: its path below the location's folder, the line where it is known, and the reason."""

    file: str
    line: int | None
    reason: str

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass
class _Unit:
    """A folder with a defs.yaml, or a Python file: what is left out as a whole."""

    path: Path
    decl: ComponentDecl | None = None
    definitions: dg.Definitions | None = None


@dataclass
class _Folder:
    context: ComponentDeclLoadContext
    units: list[_Unit] = field(default_factory=list)
    folders: list[_Folder] = field(default_factory=list)

    def all_units(self) -> Iterator[_Unit]:
        yield from self.units
        for folder in self.folders:
            yield from folder.all_units()

    def decl(self) -> DefsFolderDecl:
        """The declaration of the folder with the units that are left."""
        children: dict[Path, ComponentDecl] = {unit.path: unit.decl for unit in self.units if unit.decl}
        children |= {folder.context.path: folder.decl() for folder in self.folders}
        return DefsFolderDecl(
            context=self.context,
            loc=ComponentPath.from_path(self.context.path),
            children=children,
            source_tree=None,
            component_file_model=None,
        )


def load_definitions(folder: Path, beside: dg.Definitions | None = None) -> dg.Definitions:
    """What the `defs/` of the location's package holds, merged with its jobs, resources and executor; of its automation
    runs by itself what the environment says.

    Args:
        folder: of the package, which `definitions.py` is in.
        beside: what is no file of `defs/`; an error in it is never left out. Without an IO manager in it, the location
            has that of the lake.

    Raises whatever the first bad file raises, unless the environment says that bad files are left out.
    """
    beside = _with_io_manager(beside or dg.Definitions())
    if os.environ.get(VARIABLE) != LEFT_OUT:
        loaded = dg.Definitions.merge(dg.load_from_defs_folder(path_within_project=folder), beside)
        return by_environment(with_update_checks(loaded))
    definitions, broken = load_what_is_good(folder, beside)
    definitions = with_update_checks(definitions)
    if broken:
        owned = ownership(ComponentTree.for_project(folder).project_root)
        definitions = dg.Definitions.merge(definitions, *(placeholder(each, owned) for each in broken))
    return by_environment(definitions)


def _with_io_manager(beside: dg.Definitions) -> dg.Definitions:
    """Unless the location has one of its own, values that its assets return are kept in the lake."""
    if "io_manager" in (beside.resources or {}):
        return beside
    return dg.Definitions.merge(beside, dg.Definitions(resources={"io_manager": of_process()}))


def load_what_is_good(folder: Path, beside: dg.Definitions) -> tuple[dg.Definitions, list[Broken]]:
    """The definitions of every file that loads, and the files that do not."""
    tree = ComponentTree.for_project(folder)
    root = ComponentPath.from_path(tree.defs_module_path)
    broken: list[Broken] = []

    def attempt(unit: _Unit, doing: Callable[[], None]) -> None:
        try:
            doing()
        except Exception as error:
            unit.decl = unit.definitions = None
            broken.append(_explained(error, unit.path, tree.project_root))

    top = _walk(tree.decl_load_context.for_component_loc(root), attempt)
    tree.state_tracker.set_cache_data(root, component_decl=top.decl())
    owners: dict[dg.AssetKey, Path] = {}
    for unit in list(top.all_units()):
        if unit.decl:
            attempt(unit, lambda unit=unit: _build(tree, unit, owners))
    good = [unit for unit in top.all_units() if unit.definitions]
    if not _is_valid(good, beside):
        good = _without_what_refers_to_nothing(good, beside, attempt)
    tree.state_tracker.set_cache_data(root, component_decl=top.decl())
    return dg.Definitions.merge(tree.build_defs(), beside), broken


def placeholder(broken: Broken, owned: Ownership) -> dg.Definitions:
    """The asset that stands for a file that does not load; its run fails with the reason."""
    reason = f"{broken.place} does not load: {broken.reason}"

    @dg.asset(
        key=[PREFIX, re.sub(r"\W+", "_", broken.file)],
        group_name=PREFIX,
        kinds={"error"},
        tags={"broken": "true", **owned.tags},
        owners=owned.owners,
        description=f"{reason}\n\nWhat the file defines is not there until it loads; all other files are.",
        metadata={"file": broken.file, "line": broken.line or 0, "freshness": "none: it is there until the file loads"},
        automation_condition=dg.AutomationCondition.on_missing(),
    )
    def stands_for_a_file() -> None:
        raise dg.Failure(reason, allow_retries=False)

    return dg.Definitions(assets=[stands_for_a_file])


def _walk(context: ComponentDeclLoadContext, attempt: Callable[[_Unit, Callable[[], None]], None]) -> _Folder:
    """The folder's units, declared one by one, and those of the folders in it."""
    found = _Folder(context)
    for path in sorted(context.path.iterdir()):
        if any(path.relative_to(context.path).match(pattern) for pattern in EXPLICITLY_IGNORED_GLOB_PATTERNS):
            continue
        inside = context_with_injected_scope(context, DefsFolderComponent, None)
        own = inside.for_component_loc(ComponentPath.from_path(path))
        if path.is_dir() and not find_defs_or_component_yaml(path):
            found.folders.append(_walk(own, attempt))
        else:
            unit = _Unit(path)
            attempt(unit, lambda unit=unit, own=own: _declare(unit, own))
            found.units.append(unit)
    return found


def _declare(unit: _Unit, context: ComponentDeclLoadContext) -> None:
    unit.decl = build_filesystem_component_decl_from_context(context)


def _build(tree: ComponentTree, unit: _Unit, owners: dict[dg.AssetKey, Path]) -> None:
    """Builds the unit's definitions. Raises what they raise, and ValueError for an asset that another unit has."""
    assert unit.decl
    unit.definitions = tree.build_defs_at_path(unit.decl.loc)
    assets = [asset for asset in unit.definitions.assets or () if isinstance(asset, dg.AssetsDefinition)]
    keys = {key for asset in assets if asset.is_executable for key in asset.keys}
    for key in sorted(keys & owners.keys()):
        raise ValueError(f"the asset {key.to_user_string()} is defined in {owners[key].name} already")
    owners |= dict.fromkeys(keys, unit.path)


def _without_what_refers_to_nothing(
    units: list[_Unit], beside: dg.Definitions, attempt: Callable[[_Unit, Callable[[], None]], None]
) -> list[_Unit]:
    """The units that go together: first those of assets alone, then one by one what refers to assets."""
    kept: list[_Unit] = []
    for unit in sorted(units, key=_refers):
        attempt(unit, lambda unit=unit: _validate([*kept, unit], beside))
        if unit.definitions:
            kept.append(unit)
    return kept


def _refers(unit: _Unit) -> bool:
    made = unit.definitions
    return bool(made and (made.jobs or made.schedules or made.sensors or made.asset_checks))


def _is_valid(units: list[_Unit], beside: dg.Definitions) -> bool:
    try:
        _validate(units, beside)
    except Exception:
        return False
    return True


def _validate(units: list[_Unit], beside: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(
        dg.Definitions.merge(*(unit.definitions for unit in units if unit.definitions), beside)
    )


def _explained(error: Exception, path: Path, root: Path) -> Broken:
    """File, line and reason of what a unit raised: those of its innermost cause."""
    innermost: BaseException = error
    while innermost.__cause__ is not None:
        innermost = innermost.__cause__
    text = str(innermost).strip() or type(innermost).__name__
    default = find_defs_or_component_yaml(path) if path.is_dir() else path
    file, line = _place(innermost, text, path)
    where = file or default or path
    shown = where.relative_to(root) if where.is_relative_to(root) else where
    return Broken(str(shown), line, " ".join(text.split()))


def _place(error: BaseException, text: str, path: Path) -> tuple[Path | None, int | None]:
    if isinstance(error, SyntaxError) and error.filename:
        return Path(error.filename), error.lineno
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(path)]
    if frames:
        return Path(frames[-1].filename), frames[-1].lineno
    if found := YAML_PLACE.search(text) or IN_YAML_MARK.search(text):
        return Path(found[1]), int(found[2])
    file = find_defs_or_component_yaml(path) if path.is_dir() else None
    return file, _first_line(file) if file else None


def _first_line(file: Path) -> int | None:
    """Where the definition in a YAML file begins: the line of its type."""
    lines = enumerate(file.read_text().splitlines(), 1)
    return next((number for number, line in lines if line.startswith("type:")), None)
