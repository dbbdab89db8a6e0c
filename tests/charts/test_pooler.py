"""Dagster's clients come to Postgres through a pooler, which lends them what is as good as what it stands for."""

from __future__ import annotations

import configparser

import pytest
from tests.charts.conftest import Rendering
from tests.charts.rendering import Object, Render

from terrane_cli.commands import CliError

pytestmark = pytest.mark.unit

TLS = ("postgres.tls.enabled=true", "postgres.tls.secretName=certificate")


def test_it_lends_whole_sessions_of_the_server_beside_it(rendered: Rendering) -> None:
    render = rendered("kind")
    settings = _settings(render)
    assert dict(settings["databases"]) == {"*": "host=/var/run/postgresql port=5432"}
    pooler = dict(settings["pgbouncer"])
    # With another mode a LISTEN, a lock or a SET of one client would be another's.
    assert (pooler["pool_mode"], pooler["server_reset_query"]) == ("session", "discard all")
    assert (pooler["listen_addr"], pooler["listen_port"], pooler["unix_socket_dir"]) == ("*", "6432", "")
    mounts = {m["name"]: m["mountPath"] for m in _container(render)["volumeMounts"]}
    assert mounts == {"pooler": "/configuration", "run": "/var/run/postgresql"}


def test_it_asks_every_client_for_the_password_that_the_server_knows(rendered: Rendering) -> None:
    pooler = dict(_settings(rendered("kind"))["pgbouncer"])
    assert pooler["auth_type"] == "scram-sha-256"
    assert (pooler["auth_user"], pooler["auth_dbname"]) == ("postgres", "postgres")
    assert "where rolname = $1 and rolcanlogin and not rolsuper" in pooler["auth_query"]
    assert "rolvaliduntil > now()" in pooler["auth_query"]
    # It holds no password, nor a file of them.
    assert "auth_file" not in pooler
    assert "env" not in _container(rendered("kind"))


def test_how_much_it_lends_is_said_in_the_values(rendered: Rendering) -> None:
    given = {"sessions": 7, "waitSeconds": 9, "clients": 11}
    pooler = dict(
        _settings(rendered("kind", *(f"postgres.pooler.{name}={n}" for name, n in given.items())))["pgbouncer"]
    )
    found = [pooler[name] for name in ("default_pool_size", "query_wait_timeout", "max_client_conn")]
    assert found == ["7", "9", "11"]


def test_it_is_encrypted_as_the_server_is(rendered: Rendering) -> None:
    plain, required, optional = (
        rendered("kind", *settings) for settings in ((), TLS, (*TLS, "postgres.tls.required=false"))
    )
    assert [n for n in dict(_settings(plain)["pgbouncer"]) if "tls" in n] == []
    for render, mode in ((required, "require"), (optional, "allow")):
        pooler = dict(_settings(render)["pgbouncer"])
        assert (pooler["client_tls_sslmode"], pooler["client_tls_cert_file"], pooler["client_tls_key_file"]) == (
            mode,
            "/tls/tls.crt",
            "/tls/tls.key",
        )
        assert {"name": "tls", "mountPath": "/tls"} in _container(render)["volumeMounts"]


def test_dagster_alone_goes_through_it(rendered: Rendering) -> None:
    render = rendered("kind")
    assert render.instance().count("terrane-postgres-pooler") == 3
    others = [o for o in render.of("ConfigMap") if "dagster" not in o["metadata"]["name"]]
    assert len(others) > 5
    told = [o["metadata"]["name"] for o in others if "terrane-postgres-pooler" in str(o.get("data"))]
    assert told == []


def test_without_it_nothing_of_it_is_left(rendered: Rendering) -> None:
    off = rendered("kind", "postgres.pooler.enabled=false", "dagster.postgresql.postgresqlHost=terrane-postgres")
    assert [o["metadata"]["name"] for o in off.objects if "pooler" in str(o) or "pgbouncer" in str(o)] == []


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        (["postgres.pooler.enabled=false"], "set it to terrane-postgres"),
        (["postgres.enabled=false", "warehouse.host=db.example.com"], "set it to your server's name"),
    ],
)
def test_an_address_of_a_pooler_that_is_not_there_is_refused(
    settings: list[str], host: str, rendered: Rendering
) -> None:
    with pytest.raises(CliError, match="terrane-postgres-pooler is the pooler of the chart's Postgres") as refused:
        rendered("kind", *settings)
    assert host in str(refused.value)


def _settings(render: Render) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",))
    parser.read_string(render.get("ConfigMap", "terrane-postgres")["data"]["pgbouncer.ini"])
    return parser


def _container(render: Render) -> Object:
    pod = render.get("StatefulSet", "terrane-postgres")["spec"]["template"]["spec"]
    (found,) = [c for c in pod["containers"] if c["name"] == "pooler"]
    return found
