"""A location's steps run where its environment says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from terrane.executors import executor_from_env

pytestmark = pytest.mark.unit

LOADED = """
import sys, terrane.executors
terrane.executors.executor_from_env()
print(sorted({"kubernetes", "celery"} & set(sys.modules)))
"""


@pytest.mark.parametrize("name", [None, "", "in_process"])
def test_steps_run_in_the_runs_own_process_unless_told_otherwise(
    name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TERRANE_EXECUTOR", raising=False)
    if name is not None:
        monkeypatch.setenv("TERRANE_EXECUTOR", name)
    assert executor_from_env().name == "in_process"


@pytest.mark.parametrize(("name", "executor"), [("k8s_job", "k8s"), ("celery_k8s", "celery-k8s")])
def test_steps_run_where_the_variable_says(name: str, executor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRANE_EXECUTOR", name)
    assert executor_from_env().name == executor


def test_a_name_that_is_none_is_refused_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRANE_EXECUTOR", "celery")
    with pytest.raises(ValueError, match="TERRANE_EXECUTOR is 'celery'.*in_process, k8s_job, celery_k8s"):
        executor_from_env()


def test_without_a_cluster_no_library_of_one_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, env={})
    assert done.stdout.strip() == "[]"
