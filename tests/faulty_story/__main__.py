"""`make story-with-faults MINUTES=10`: plays the story undisturbed, then with faults, and compares what is served.

Batches are delivered all the while, each with the files of the sample, so that the last of them decides nothing. After
the last fault nobody helps: what is due has to become right by itself, which back-off may let take twenty minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
from obstore.store import LocalStore
from tests.faulty_story.deliveries import deliver_as
from tests.faulty_story.faults import Faults

from terrane import names
from terrane_cli.dagster_api import DagsterApi, NoAnswer
from terrane_cli.demo.demo import wait_until_loaded
from terrane_cli.demo.stages import STAGES, State, stage_state
from terrane_cli.laptop.platform import Platform
from terrane_cli.laptop.settings import Settings
from terrane_cli.project import Project
from terrane_dev.testing import temporary_server_folder

DAYS = 20
BETWEEN_FAULTS_S, BETWEEN_BATCHES_S = (5, 25), 60
SETTLES_S, SETTLED_FOR_S = 90 * 60, 30
GOLD = {"user_journal_features": "user_id", "journal_activity_daily": "day, game_type"}
ENTITIES = 100

Served = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make story-with-faults")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    today = datetime.now(UTC).date()
    first_day = (today - timedelta(days=DAYS)).isoformat()
    with platform("undisturbed", first_day) as undisturbed:
        expected = play(undisturbed, 0, None)
    with platform("disturbed", first_day) as disturbed:
        faults = Faults(disturbed, asked.seed)
        found = play(disturbed, asked.minutes, faults)
    if datetime.now(UTC).date() != today:
        print("a day ended meanwhile, of which one story has the entries and the other not: play it again")
        return 2
    unlike = [name for name in expected if expected[name] != found[name]]
    print(f"faults: {json.dumps(faults.counted)}")
    print(f"compared: {json.dumps({name: len(rows) for name, rows in expected.items()})}")
    print(f"unlike the undisturbed story: {', '.join(unlike) or 'nothing'}")
    return 1 if unlike else 0


@contextmanager
def platform(name: str, first_day: str) -> Iterator[Platform]:
    """A platform of this checkout, with its state in a folder that goes with it."""
    before = os.environ.get("TERRANE_STATE")
    with temporary_server_folder(name) as folder:
        # The servers' own account must pass through it.
        folder.chmod(0o755)
        os.environ["TERRANE_STATE"] = str(folder / "state")
        project = Project.here()
        settings = Settings.load(project)
        settings.first_day = first_day
        settings.save(project)
        made = Platform(project)
        try:
            made.up()
            yield made
        finally:
            made.down()
            os.environ.pop("TERRANE_STATE")
            if before is not None:
                os.environ["TERRANE_STATE"] = before


def play(on: Platform, minutes: float, faults: Faults | None) -> Served:
    """Delivers a batch, and more of them between the faults; returns what is served once all has settled."""
    wait_until_loaded(DagsterApi(on.settings.url("webserver")))
    landing_zone = LocalStore(prefix=on.project.state / "objects" / names.current().bucket(names.LANDING_ZONE))
    samples = on.project.root / "samples/natural_earth"
    deliver_as(landing_zone, samples, "story-1")
    end, next_batch, batches = time.monotonic() + minutes * 60, time.monotonic() + BETWEEN_BATCHES_S, 1
    while faults and time.monotonic() < end:
        faults.wait(*BETWEEN_FAULTS_S)
        print(f"{datetime.now(UTC):%H:%M:%S} {faults.one()}", flush=True)
        if time.monotonic() > next_batch:
            batches += 1
            deliver_as(landing_zone, samples, f"story-{batches}")
            next_batch = time.monotonic() + BETWEEN_BATCHES_S
    began = time.monotonic()
    settle(on)
    print(f"settled after {time.monotonic() - began:.0f} s, {batches} batches", flush=True)
    return served(on)


def settle(on: Platform) -> None:
    """Returns when every stage has been done for half a minute. Raises TimeoutError with those that are not."""
    deadline, since = time.monotonic() + SETTLES_S, None
    while True:
        late = _late(DagsterApi(on.settings.url("webserver")))
        since = (since or time.monotonic()) if not late else None
        if since and time.monotonic() - since > SETTLED_FOR_S:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {SETTLES_S / 60:.0f} minutes these are not as they should be: {', '.join(late)}")
        time.sleep(2)


def _late(api: DagsterApi) -> list[str]:
    """The stages that are not as they should be; what says so where nobody answers in time, or a run is at work."""
    try:
        assets = api.assets(stage.asset for stage in STAGES)
        late = [stage.asset for stage in STAGES if stage_state(stage, assets) != State.DONE]
        return late or ([] if api.is_idle() else ["runs are at work"])
    except NoAnswer as error:
        return [str(error)]


def served(on: Platform) -> Served:
    """Gold's tables, and every user's values online."""
    found: Served = {}
    connection = {
        "host": "127.0.0.1",
        "port": on.settings.ports["postgres"],
        "user": names.WAREHOUSE,
        "password": on.settings.passwords[names.WAREHOUSE],
        "dbname": names.WAREHOUSE,
    }
    with psycopg.connect(**connection) as warehouse:
        for table, order in GOLD.items():
            found[table] = warehouse.execute(f"select * from gold.{table} order by {order}".encode()).fetchall()
    users = [row[0] for row in found["user_journal_features"]]
    found["online"] = [row for start in range(0, len(users), ENTITIES) for row in _online(on, users[start:][:ENTITIES])]
    return found


def _online(on: Platform, users: list[int]) -> list[list[Any]]:
    """Each user's values and what the server says of them, in the order of the features' names."""
    body = {"feature_service": "analyzer", "entities": {"user_id": users}}
    answer = httpx.post(f"{on.settings.url('feature-server')}/get-online-features", json=body, timeout=30)
    answer.raise_for_status()
    said = answer.json()
    columns = dict(zip(said["metadata"]["feature_names"], said["results"], strict=True))
    return [
        [user, *((name, columns[name]["values"][at], columns[name]["statuses"][at]) for name in sorted(columns))]
        for at, user in enumerate(users)
    ]


if __name__ == "__main__":
    sys.exit(main())
