"""The pooler lends Dagster sessions as good as ones of its own, and nobody gets one without a password."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cluster.platform import Cluster

pytestmark = pytest.mark.cluster

# In the daemon's container, which has the role's password and the library that Dagster uses.
ASKING = """
import json, os, select, sys, threading, time
import psycopg2

def connect(user="dagster", password=os.environ["DAGSTER_PG_PASSWORD"]):
    found = psycopg2.connect(
        host="terrane-postgres-pooler", user=user, password=password, dbname="dagster", connect_timeout=70
    )
    found.autocommit = True
    return found

def asked(connection, statement):
    cursor = connection.cursor()
    cursor.execute(statement)
    return cursor.fetchone()[0] if cursor.description else None

def refusal(**of):
    try:
        connect(**of)
    except psycopg2.OperationalError as error:
        return str(error)
"""
SESSIONS = "select count(*) from pg_stat_activity where usename = 'dagster'"


def test_what_one_client_sets_listens_to_and_locks_is_gone_for_the_next(cluster: Cluster) -> None:
    found = _asked(
        cluster,
        """
        seen = set()
        for n in range(12):
            one = connect()
            seen.add((asked(one, "show statement_timeout"), asked(one, "select count(*) from pg_listening_channels()")))
            # Each time it is free again.
            assert asked(one, "select pg_try_advisory_lock(4711)")
            asked(one, "set statement_timeout = 12345")
            asked(one, "listen news")
            one.close()
        answer = {"seen": sorted(seen), "socket": asked(connect(), "select inet_server_addr() is null")}
        """,
    )
    assert found == {"seen": [["0", 0]], "socket": True}


def test_a_client_hears_what_it_listens_to(cluster: Cluster) -> None:
    found = _asked(
        cluster,
        """
        one, other = connect(), connect()
        asked(one, "listen news")
        asked(other, "notify news, 'told'")
        select.select([one], [], [], 10)
        one.poll()
        answer = [n.payload for n in one.notifies]
        """,
    )
    assert found == ["told"]


def test_nobody_gets_in_without_the_roles_password_and_the_superuser_not_at_all(cluster: Cluster) -> None:
    cluster.sql("dagster", "create role strong superuser login password 'known'")
    try:
        found = _asked(
            cluster,
            """
            answer = [refusal(password="another"), refusal(user="nobody"), refusal(user="strong", password="known")]
            """,
        )
    finally:
        cluster.sql("dagster", "drop role strong")
    wrong, nobody, superuser = found
    assert "authentication failed" in wrong
    assert "no such user" in nobody
    assert "no such user" in superuser


def test_more_clients_than_sessions_wait_for_one_and_all_are_served(cluster: Cluster) -> None:
    found = _asked(
        cluster,
        """
        served = []
        def client():
            one = connect()
            asked(one, "select pg_sleep(1)")
            served.append(1)
            one.close()
        clients = [threading.Thread(target=client) for _ in range(100)]
        for each in clients:
            each.start()
        most = 0
        watcher = connect()
        while any(each.is_alive() for each in clients):
            most = max(most, asked(watcher, SESSIONS))
            time.sleep(0.2)
        answer = [len(served), most]
        """,
    )
    served, most = found
    assert served == 100
    assert 20 < most <= 40


def _asked(cluster: Cluster, script: str) -> Any:
    text = "\n".join([ASKING, f"SESSIONS = {SESSIONS!r}", textwrap.dedent(script), "print(json.dumps(answer))"])
    told = cluster.kubectl("exec", "deployment/terrane-dagster-daemon", "-c", "dagster", "--", "python", "-c", text)
    return json.loads(told.splitlines()[-1])
