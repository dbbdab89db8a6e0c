"""A database is reached as its owner, and by nobody else."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from terrane.postgres import PostgresResource
from terrane_dev.servers.process import free_port

pytestmark = pytest.mark.integration

MakeDatabase = Callable[..., PostgresResource]


def test_a_connection_commits_when_its_block_ends(make_database: MakeDatabase) -> None:
    database = make_database()
    with database.connect() as connection:
        connection.execute("create table t as select 1 as a")
    with database.connect() as connection:
        assert connection.execute("select a from t").fetchone() == (1,)


def test_the_uri_connects_too_whatever_the_password_holds(make_database: MakeDatabase) -> None:
    database = make_database()
    odd = "a/b@c:d %41"
    with database.connect(autocommit=True) as connection:
        connection.execute(f"alter role {database.user} password '{odd}'".encode())
    with psycopg.connect(database.model_copy(update={"password": odd}).uri()) as connection:
        assert connection.execute("select current_user").fetchone() == (database.user,)


def test_a_role_cannot_enter_the_database_of_another(make_database: MakeDatabase) -> None:
    mine, other = make_database(), make_database()
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        mine.model_copy(update={"database": other.database}).connect()


def test_extensions_are_there_for_an_owner_who_could_not_make_them(make_database: MakeDatabase) -> None:
    with make_database("postgis").connect() as connection:
        assert connection.execute("select st_astext(st_point(1, 2))").fetchone() == ("POINT(1 2)",)


def test_a_server_that_is_not_there_is_named() -> None:
    port = str(free_port())
    gone = PostgresResource(host="127.0.0.1", port=port, user="u", password="p", database="d")
    with pytest.raises(psycopg.OperationalError, match=f"127.0.0.1.*port {port}"):
        gone.connect()
