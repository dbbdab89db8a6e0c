"""`python -m terrane_features.online_store.inspect` shows a person what Redis holds for somebody, without Feast."""

from __future__ import annotations

import json
import sys

import pytest

from terrane_features.online_store import inspect

pytestmark = pytest.mark.integration


@pytest.fixture
def asked(stores, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Asks with the command's arguments; returns its code, its output and its complaint."""
    monkeypatch.setenv("FEAST_REPO_PATH", stores.feast.repo_path)

    def ask(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["inspect", *arguments])
        capsys.readouterr()
        code = inspect.main()
        said = capsys.readouterr()
        return code, said.out, said.err

    return ask


def test_a_users_row_is_printed_as_json(stores, asked) -> None:
    stores.run()
    code, output, _ = asked("user_journal_features", "7")
    row = json.loads(output)
    assert (code, row["entries_total"], row["last_place"], row["avg_mood"]) == (0, 21, "Größe 7", None)
    assert row["event_timestamp"].endswith("+00:00")


def test_nobody_is_null(stores, asked) -> None:
    assert asked("user_journal_features", "7") == (1, "null\n", "")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nothing", "7"), "no feature view 'nothing'; there are user_journal_features"),
        (("user_journal_features", "7", "8"), "user_journal_features is asked by user_id, and 2 values were given"),
        (("user_journal_features", "x"), "invalid literal for int() with base 10: 'x'"),
    ],
)
def test_a_question_that_cannot_be_asked_is_answered_with_the_reason(asked, arguments, complaint: str) -> None:
    assert asked(*arguments) == (2, "", f"{complaint}\n")


def test_unset_variables_are_named(asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_PORT")
    code, _, complaint = asked("user_journal_features", "7")
    assert code == 2
    assert complaint.endswith("feature_store.yaml names REDIS_PORT, which the environment lacks: set them and retry\n")
