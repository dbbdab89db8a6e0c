"""The demo: the platform on real input, from a batch in the landing zone to features over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from obstore.store import LocalStore
from rich.table import Table

from terrane import names
from terrane_cli.commands import CliError, say
from terrane_cli.console import console
from terrane_cli.dagster_api import AssetState, DagsterApi, NoAnswer
from terrane_cli.demo.progress import Line, Progress
from terrane_cli.demo.sample import Delivery, deliver, rejection
from terrane_cli.demo.stages import DELIVERED, SERVED, Stage, State, stage_state, stages_of
from terrane_cli.laptop.platform import Platform

if TYPE_CHECKING:
    from terrane.object_store import Bucket
    from terrane_cli.project import Project

POLL_S = 0.5
UNREACHABLE = "DagsterUserCodeUnreachableError"
LOAD_TIMEOUT_S = 120
ANSWER_TIMEOUT_S = 90
DEMO_TIMEOUT_S = 600
SERVER_TIMEOUT_S = 60
USERS_SHOWN = 8
FEATURE_SERVICE = "analyzer"
FEATURES_SHOWN = (
    "entries_total",
    "entries_last_7d",
    "minutes_total",
    "avg_mood",
    "favourite_game_type",
    "last_place",
    "last_country",
)
T = TypeVar("T")


def run(platform: Platform) -> None:
    """Starts the platform, delivers the batch, follows it, and shows what the feature server answers.

    Raises CliError when a stage fails or takes too long.
    """
    began = time.monotonic()
    console.print("[bold]Starting the platform[/]")
    platform.up(say)
    api = DagsterApi(platform.settings.url("webserver"))
    wait_until_loaded(api)
    landing_zone = LocalStore(prefix=platform.project.state / "objects" / names.current().bucket(names.LANDING_ZONE))
    if deliver_and_follow(api, landing_zone, platform.project):
        console.print()
        console.print(features_table(f"{platform.settings.url('feature-server')}/get-online-features"))
    console.print(f"\nThe UI: {api.url}   ({time.monotonic() - began:.0f} s)")


def deliver_and_follow(api: DagsterApi, landing_zone: Bucket, project: Project) -> bool:
    """Delivers the sample batch and follows it as far as the locations take it; returns whether features are served."""
    stages = stages_of(project.locations)
    delivery = deliver(landing_zone, project.root / "samples/natural_earth")
    verb = "delivered" if delivery.is_new else "was delivered before"
    console.print(
        f"\n[bold]Batch {delivery.batch_id}[/] {verb}: {delivery.files} files, {delivery.size:,} bytes, "
        f"and its manifest at {names.current().bucket(names.LANDING_ZONE)}/{delivery.manifest_key}\n"
    )
    _retry_earlier_failures(api, stages)
    _follow(api, stages, landing_zone, delivery)
    return any(stage.asset == SERVED for stage in stages)


def wait_until_loaded(api: DagsterApi) -> None:
    """Returns when every location is loaded. Raises CliError for those that are not.

    A code server that cannot be reached is one that is being replaced, until the time is over.
    """
    deadline = time.monotonic() + LOAD_TIMEOUT_S
    while (errors := api.load_errors()) is None or any(UNREACHABLE in message for message in errors.values()):
        if time.monotonic() > deadline:
            unreached = f", and {', '.join(errors)} cannot be reached" if errors else ""
            told = f"the locations did not load within {LOAD_TIMEOUT_S} s{unreached}"
            raise CliError(f"{told}; see {api.url}/locations")
        time.sleep(POLL_S)
    if errors:
        told = "\n".join(f"  {name}: {message.strip().splitlines()[0]}" for name, message in errors.items())
        raise CliError(f"code locations that do not load:\n{told}\nSee {api.url}/locations")


def _retry_earlier_failures(api: DagsterApi, stages: list[Stage]) -> None:
    """Re-executes the runs that failed before this demo: whoever starts it again has mended the cause, we hope."""
    assets = answered(lambda: api.assets(stage.asset for stage in stages))
    failed = {assets[s.asset].run_id for s in stages if stage_state(s, assets) == State.FAILED}
    for run_id in filter(None, failed):
        console.print(f"Run {run_id} failed before; re-executing it as {api.re_execute(run_id)}")


def _follow(api: DagsterApi, stages: list[Stage], landing_zone: Bucket, delivery: Delivery) -> None:
    """Shows the stages until all are done. Raises CliError for the first that fails, or when the time is over."""
    deadline = time.monotonic() + DEMO_TIMEOUT_S
    took: dict[str, float] = {}
    with Progress(console) as progress:
        while True:
            states, assets, lines, is_idle = answered(lambda: _look(api, stages, took))
            progress.show(lines)
            for stage, state in states.items():
                if state == State.FAILED:
                    raise CliError(explain(api, stage, assets[stage.asset]))
            # A batch that is refused while it is read has a run to point at, which ends a moment after.
            waits = any(stage.asset == DELIVERED and state == State.WAITING for stage, state in states.items())
            if waits and (reasons := rejection(landing_zone, delivery)):
                raise CliError(f"batch {delivery.batch_id} was rejected: {reasons}")
            if all(state == State.DONE for state in states.values()) and is_idle:
                return
            if time.monotonic() > deadline:
                late = ", ".join(stage.asset for stage, state in states.items() if state != State.DONE)
                raise CliError(
                    f"after {DEMO_TIMEOUT_S} s these are not done: {late}. See {api.url}/runs, and the sensors at "
                    f"{api.url}/automation; the processes' logs are in .terrane/logs"
                )
            time.sleep(POLL_S)


def answered(ask: Callable[[], T]) -> T:
    """What it returns, once somebody answers: a webserver that is being replaced, or is at work, does not for a while.

    Raises NoAnswer when nobody has for ANSWER_TIMEOUT_S.
    """
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while True:
        try:
            return ask()
        except NoAnswer:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)


def _look(
    api: DagsterApi, stages: list[Stage], took: dict[str, float]
) -> tuple[dict[Stage, State], dict[str, AssetState], list[Line], bool]:
    """The stages' states, their assets, how they are shown, and whether no run is under way."""
    assets = api.assets(stage.asset for stage in stages)
    states = {stage: stage_state(stage, assets) for stage in stages}
    lines = [_line(api, stage, state, assets.get(stage.asset), took) for stage, state in states.items()]
    return states, assets, lines, api.is_idle()


def _line(api: DagsterApi, stage: Stage, state: State, asset: AssetState | None, took: dict[str, float]) -> Line:
    """The stage as it is shown. `took` keeps the seconds of what is done, by asset and step."""
    if asset is None or state == State.WAITING:
        return Line(stage.title, stage.location, stage.asset, state)
    if state != State.DONE or asset.made_by is None:
        detail = _step_at_work(api, asset) if state == State.RUNNING else ""
        return Line(stage.title, stage.location, stage.asset, state, detail)
    key = " ".join((asset.key, *asset.made_by))
    if key not in took and (seconds := api.seconds(*asset.made_by)) is not None:
        took[key] = seconds
    # Its step is about to end: the table says done when it can say how long it took.
    state = state if key in took else State.RUNNING
    return Line(stage.title, stage.location, stage.asset, state, "", asset.rows, took.get(key))


def _step_at_work(api: DagsterApi, asset: AssetState) -> str:
    """The last part of the running step's name: `load` of `data_lake__places.load`."""
    if asset.run_id is None:
        return ""
    at_work = [step["stepKey"] for step in api.steps(asset.run_id) if step["status"] == "IN_PROGRESS"]
    return at_work[0].rsplit(".", 1)[-1] if at_work and "." in at_work[0] else ""


def explain(api: DagsterApi, stage: Stage, asset: AssetState) -> str:
    """Which run of a stage failed, at which step, with which error, and where to look."""
    if asset.run_id is None:
        return f"{stage.title} ({stage.asset}) failed without a run; see {api.url}/runs"
    step, error = api.failure(asset.run_id)
    return (
        f"{stage.location}: {stage.title} failed\n"
        f"  run    {asset.run_id}\n"
        f"  step   {step}\n"
        f"  error  {error}\n"
        f"  see    {api.url}/runs/{asset.run_id}, where it can be re-executed once the cause is mended"
    )


def features_table(url: str, host: str | None = None) -> Table:
    """What the feature server answers for the first users, who write the most.

    Args:
        host: the name an ingress knows the server by, where that is not in the URL.
    """
    request = {"feature_service": FEATURE_SERVICE, "entities": {"user_id": list(range(1, USERS_SHOWN + 1))}}
    answer = _ask(url, request, host)
    names = answer["metadata"]["feature_names"]
    values = {name: result["values"] for name, result in zip(names, answer["results"], strict=True)}
    shown = ["user_id", *(name for name in FEATURES_SHOWN if name in values)]
    title = f"Online features, from POST {url}" + (f" at {host}" if host else "")
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in shown:
        table.add_column(name, justify="left" if isinstance(values[name][0], str) else "right")
    for row in zip(*(values[name] for name in shown), strict=True):
        table.add_row(*map(_cell, row))
    return table


def _ask(url: str, body: dict[str, Any], host: str | None) -> dict[str, Any]:
    """The server's answer, once it knows the feature service: it looks into the registry every few seconds."""
    deadline = time.monotonic() + SERVER_TIMEOUT_S
    while True:
        try:
            answer = httpx.post(url, json=body, timeout=10, headers={"Host": host} if host else None)
            if answer.status_code == 200:
                return answer.json()
            problem = f"{answer.status_code} {answer.text[:300]}"
        except httpx.HTTPError as error:
            problem = f"{type(error).__name__}: {error}"
        if time.monotonic() > deadline:
            raise CliError(f"the feature server at {url} does not answer: {problem}; its log says more")
        time.sleep(POLL_S)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
