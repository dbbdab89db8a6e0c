"""What commands ask Dagster's GraphQL: is everything loaded, how far is an asset, why did a run fail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.requests import RequestsHTTPTransport
from requests import RequestException

from terrane_cli.commands import CliError

TIMEOUT_S = 20
# All locations are loaded before the answer: 16 s for three of them on two idle processors, longer beside other work.
RELOAD_TIMEOUT_S = 180
# More than the daily partitions of two months, each of which has its own materialisation.
MATERIALIZATIONS = 200
FAILURE_CLASS = "dagster._core.definitions.events.Failure"

LOCATIONS = """
query { workspaceOrError { ... on Workspace { locationEntries {
  name loadStatus locationOrLoadError { ... on PythonError { message } } } } } }
"""
ASSETS = """
query ($keys: [AssetKeyInput!]!, $limit: Int!) {
  assetNodes(assetKeys: $keys) {
    assetKey { path }
    partitionStats { numPartitions numMaterialized }
    assetMaterializations(limit: $limit) {
      timestamp runId stepKey partition
      metadataEntries { label ... on IntMetadataEntry { intValue } }
    }
  }
  assetsLatestInfo(assetKeys: $keys) {
    assetKey { path } unstartedRunIds inProgressRunIds
    latestRun { runId status updateTime }
  }
}
"""
RUNS_IN_PROGRESS = """
query { runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}) {
  ... on Runs { results { assetSelection { path } } } } }
"""
STEPS = """
query ($run: ID!) { runOrError(runId: $run) { ... on Run { stepStats { stepKey status startTime endTime } } } }
"""
FAILURE = """
query ($run: ID!, $after: String) { logsForRun(runId: $run, afterCursor: $after) {
  ... on EventConnection { cursor hasMore events { __typename
    ... on ExecutionStepFailureEvent { stepKey error { message cause { message cause { message } } } }
    ... on EngineEvent { error { message cause { message cause { message } } } }
    ... on RunFailureEvent { message error { message cause { message cause { message } } } } } } } }
"""
RELOAD_WORKSPACE = "mutation { reloadWorkspace { __typename ... on PythonError { message } } }"
RE_EXECUTE = """
mutation ($run: String!) { launchRunReexecution(reexecutionParams: {parentRunId: $run, strategy: FROM_FAILURE}) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""


class NoAnswer(CliError):
    """Nobody answers where the webserver should be, or not with an answer of Dagster's."""


@dataclass(frozen=True)
class AssetState:
    """An asset, as Dagster last saw it.

    Attributes:
        rows: the sum of `dagster/row_count` over its partitions, or None where it tells none.
        materialized_at: seconds since the epoch, of the newest materialisation.
        made_by: run and step of that materialisation.
        complete: whether all of its partitions are materialised; true where it has none.
        run_id: of the run that is at it now, or else of its newest one.
        status: of that run, in Dagster's words.
    """

    key: str
    rows: int | None = None
    materialized_at: float | None = None
    made_by: tuple[str, str] | None = None
    complete: bool = True
    run_id: str | None = None
    status: str | None = None
    active: bool = False


class DagsterApi:
    """A webserver's GraphQL."""

    def __init__(self, url: str, host: str | None = None):
        """`host` is the name an ingress knows the webserver by, where that is not in the URL."""
        self.url = f"http://{host}" if host else url
        headers = {"Host": host} if host else None
        self._transport = RequestsHTTPTransport(f"{url}/graphql", headers=headers, timeout=TIMEOUT_S)
        self._client = Client(transport=self._transport)

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """The answer's data. Raises NoAnswer when there is none, CliError for a query that is refused."""
        try:
            return self._client.execute(GraphQLRequest(text, variable_values=variables))
        except TransportQueryError as problem:
            raise CliError(f"Dagster refused a query: {(problem.errors or [problem])[0]}") from None
        except (TransportError, RequestException) as problem:
            raise NoAnswer(f"no answer from {self.url}: {problem}") from None

    def load_errors(self) -> dict[str, str] | None:
        """Why locations failed to load, by location; None while some are still loading, or nobody answers yet."""
        try:
            entries = self.query(LOCATIONS)["workspaceOrError"].get("locationEntries", [])
        except NoAnswer:
            return None
        if any(entry["loadStatus"] != "LOADED" for entry in entries):
            return None
        errors = {entry["name"]: (entry["locationOrLoadError"] or {}).get("message") for entry in entries}
        return {name: message for name, message in errors.items() if message}

    def assets(self, keys: Iterable[str]) -> dict[str, AssetState]:
        """The assets' states by key; an asset that no location defines is left out."""
        data = self.query(ASSETS, keys=[{"path": k.split("/")} for k in keys], limit=MATERIALIZATIONS)
        infos = {"/".join(i["assetKey"]["path"]): i for i in data["assetsLatestInfo"]}
        nodes = {"/".join(n["assetKey"]["path"]): n for n in data["assetNodes"]}
        return {key: _asset_state(key, node, infos.get(key, {})) for key, node in nodes.items()}

    def is_idle(self) -> bool:
        """Whether no run that makes assets is queued or at work; of a job of somebody's own nothing here waits."""
        return not any(run["assetSelection"] for run in self.query(RUNS_IN_PROGRESS)["runsOrError"]["results"])

    def steps(self, run_id: str) -> list[dict[str, Any]]:
        """The run's steps with their status, and start and end in seconds since the epoch."""
        return self.query(STEPS, run=run_id)["runOrError"].get("stepStats", [])

    def seconds(self, run_id: str, step: str) -> float | None:
        """How long the step took, with those it belongs to (`a.load` and `a.export`); None until all ended."""
        family = step.split(".")[0]
        spans = [(s["startTime"], s["endTime"]) for s in self.steps(run_id) if s["stepKey"].split(".")[0] == family]
        if not spans or any(start is None or end is None for start, end in spans):
            return None
        return max(end for _, end in spans) - min(start for start, _ in spans)

    def reload_location(self, name: str) -> None:
        """Has the location's code server load its definitions again. Raises CliError when they do not load."""
        # Costs the import of Dagster.
        from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

        self._transport.default_timeout = RELOAD_TIMEOUT_S
        try:
            done = DagsterGraphQLClient("", transport=self._transport).reload_repository_location(name)
        except DagsterGraphQLClientError as problem:
            raise NoAnswer(f"no answer from {self.url}: {problem.__cause__}") from None
        finally:
            self._transport.default_timeout = TIMEOUT_S
        if done.message:
            raise CliError(f"{name} does not load: {done.message.strip().splitlines()[0]}")

    def reload_workspace(self) -> None:
        """Has the webserver read its list of locations again. Raises CliError when it can't."""
        self._transport.default_timeout = RELOAD_TIMEOUT_S
        try:
            answer = self.query(RELOAD_WORKSPACE)["reloadWorkspace"]
        finally:
            self._transport.default_timeout = TIMEOUT_S
        if answer["__typename"] != "Workspace":
            raise CliError(f"the workspace does not load again: {answer.get('message', answer['__typename'])}")

    def re_execute(self, run_id: str) -> str:
        """Launches a run again from the step that failed, and returns the new run's id."""
        answer = self.query(RE_EXECUTE, run=run_id)["launchRunReexecution"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise CliError(f"run {run_id} cannot be re-executed: {answer.get('message', answer['__typename'])}")
        return answer["run"]["runId"]

    def failure(self, run_id: str) -> tuple[str, str]:
        """The first step of the run that failed, and the first line of the error that began it.

        Where no step failed, what ended the run.
        """
        after, at_large = None, "the run ended without an error of its own; its log has more"
        while True:
            page = self.query(FAILURE, run=run_id, after=after)["logsForRun"]
            for event in page["events"]:
                if not event.get("error"):
                    continue
                if event["__typename"] == "ExecutionStepFailureEvent":
                    return event["stepKey"], _root_cause(event["error"])
                at_large = _root_cause(event["error"])
            if not page["hasMore"]:
                return "(none)", at_large
            after = page["cursor"]


def _asset_state(key: str, node: dict[str, Any], info: dict[str, Any]) -> AssetState:
    events, partitions = node["assetMaterializations"], node.get("partitionStats")
    newest: dict[str | None, int] = {}
    for event in events:
        rows = next((m.get("intValue") for m in event["metadataEntries"] if m["label"] == "dagster/row_count"), None)
        if rows is not None:
            newest.setdefault(event["partition"], rows)
    latest = info.get("latestRun") or {}
    at_work = [*info.get("inProgressRunIds", []), *info.get("unstartedRunIds", [])]
    return AssetState(
        key=key,
        rows=sum(newest.values()) if newest else None,
        materialized_at=float(events[0]["timestamp"]) / 1000 if events else None,
        made_by=(events[0]["runId"], events[0]["stepKey"]) if events and events[0]["stepKey"] else None,
        complete=partitions is None or partitions["numMaterialized"] == partitions["numPartitions"],
        run_id=at_work[0] if at_work else latest.get("runId") or (events[0]["runId"] if events else None),
        status=latest.get("status"),
        active=bool(at_work),
    )


def _root_cause(error: dict[str, Any]) -> str:
    """The first line of what a step raised: Dagster wraps it in an error of its own.

    Of a `Failure` its own message, which is written for people; of anything else the innermost error.
    """
    while error.get("cause") and not error["message"].startswith(FAILURE_CLASS):
        error = error["cause"]
    return error["message"].strip().splitlines()[0].removeprefix(f"{FAILURE_CLASS}: ")
