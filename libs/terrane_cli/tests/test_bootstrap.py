"""A machine is set up for what is wanted, and for no more."""

from __future__ import annotations

import pytest

from terrane_cli.bootstrap import chosen
from terrane_cli.commands import CliError
from terrane_cli.project import Project

pytestmark = pytest.mark.unit


def test_every_environment_is_made_where_none_is_named(project: Project) -> None:
    assert chosen(project, []) == project.environments()


def test_what_is_named_is_made_alone(project: Project) -> None:
    assert chosen(project, ["soils"]) == [project.location_folder("soils")]
    assert chosen(project, ["workspace"]) == [project.root]


def test_a_name_that_is_no_environment_is_refused_with_those_there_are(project: Project) -> None:
    with pytest.raises(CliError, match="there is no environment sea; there are workspace, hydrology, soils"):
        chosen(project, ["sea", "soils"])
