"""Forgetting a person: the jobs `forget` of the locations that have one, and then what is online made anew without."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from terrane_cli.commands import CliError

if TYPE_CHECKING:
    from terrane_cli.dagster_api import DagsterApi

JOB, OP, ONLINE = "forget", "forget_person", "online"
LIMIT_S = 3600
EVERY_S = 1.0
NOT_REACHED = """Not reached, and to be seen to by hand:
  the source itself, and whoever else read it
  backups and snapshots of databases, buckets and volumes, until they expire
  versions and delete markers of objects, where the bucket keeps them
  Dagster's events and the logs of runs: the config of this command's own runs has the id, delete them
  files in the lake that are neither Parquet nor CSV, as pickles: the log of the job `forget` names them
  rows that the spatial location published under another name for the id"""

JOBS = """query { repositoriesOrError { ... on RepositoryConnection { nodes {
  name location { name } jobs { name } } } } }"""
ASSETS = """query { assetNodes { assetKey { path } isMaterializable
  repository { name location { name } } } }"""
LAUNCH = """
mutation ($selector: JobOrPipelineSelector!, $config: RunConfigData) {
  launchRun(executionParams: {selector: $selector, runConfigData: $config}) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } } } }
"""
STATUS = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"


def forget(api: DagsterApi, kind: str, identifier: str) -> Iterator[str]:
    """Launches what has to run, one after the other, and says of each how it ended.

    Raises CliError when no location forgets anything, and when a run fails, with its reason: what was forgotten by then
    is, and the command may be given again.
    """
    forgetting = _with_job(api)
    if not forgetting:
        raise CliError(f"no location has a job `{JOB}`: add a Forgetting to one of them, docs/stores.md says how")
    config = {"ops": {OP: {"config": {"kind": kind, "id": identifier}}}}
    for selector in forgetting:
        yield from _run(api, {**selector, "jobName": JOB}, config, f"{selector['repositoryLocationName']}: {JOB}")
    for selector, key in _online(api):
        selected = {**selector, "jobName": "__ASSET_JOB", "assetSelection": [{"path": key}]}
        yield from _run(api, selected, {}, "/".join(key))


def _with_job(api: DagsterApi) -> list[dict[str, str]]:
    nodes = api.query(JOBS)["repositoriesOrError"].get("nodes", [])
    return [_selector(node) for node in nodes if JOB in {job["name"] for job in node["jobs"]}]


def _online(api: DagsterApi) -> list[tuple[dict[str, str], list[str]]]:
    """What is served online: made anew, it has no row that its table has not."""
    nodes = [node for node in api.query(ASSETS)["assetNodes"] if node["isMaterializable"]]
    return [(_selector(n["repository"]), n["assetKey"]["path"]) for n in nodes if n["assetKey"]["path"][0] == ONLINE]


def _selector(repository: Mapping[str, Any]) -> dict[str, str]:
    return {"repositoryName": repository["name"], "repositoryLocationName": repository["location"]["name"]}


def _run(api: DagsterApi, selector: Mapping[str, Any], config: Mapping[str, Any], name: str) -> Iterator[str]:
    launched = api.query(LAUNCH, selector=selector, config=config)["launchRun"]
    if launched["__typename"] != "LaunchRunSuccess":
        raise CliError(f"{name} could not be launched: {launched}")
    run, deadline = launched["run"]["runId"], time.monotonic() + LIMIT_S
    yield f"{name}: launched ({api.url}/runs/{run})"
    while (status := api.query(STATUS, run=run)["runOrError"]["status"]) not in ("SUCCESS", "FAILURE", "CANCELED"):
        if time.monotonic() > deadline:
            raise CliError(f"{name} has not ended in {LIMIT_S / 60:.0f} minutes: {api.url}/runs/{run}")
        time.sleep(EVERY_S)
    if status != "SUCCESS":
        raise CliError(f"{name} ended as {status}: {api.failure(run)[1]}. Mend that, and give the command again")
    yield f"{name}: done, its log says what went"
