"""A machine is set up for what is wanted, and for no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from terrane_cli.bootstrap import chosen
from terrane_cli.setup.system import NotInstallable

pytestmark = pytest.mark.unit

ROOT = Path("/checkout")
FOLDERS = [ROOT, ROOT / "code_locations/maps", ROOT / "code_locations/roads"]


def test_every_environment_is_made_where_none_is_named() -> None:
    assert chosen(FOLDERS, [], ROOT) == FOLDERS


def test_what_is_named_is_made_alone() -> None:
    assert chosen(FOLDERS, ["roads"], ROOT) == [FOLDERS[2]]
    assert chosen(FOLDERS, ["workspace"], ROOT) == [ROOT]


def test_a_name_that_is_no_environment_is_refused_with_those_there_are() -> None:
    with pytest.raises(NotInstallable, match="there is no environment sea; there are workspace, maps, roads"):
        chosen(FOLDERS, ["sea", "maps"], ROOT)
