"""A database is reached as its owner, and by nobody else."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from terrane.postgres import PostgresResource
from terrane_dev.servers import postgres
from terrane_dev.servers.process import free_port
from terrane_dev.testing import PostgresServer

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


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP", "UTF8"])
def test_texts_leave_and_enter_as_utf_8_whatever_the_database_is_kept_in(
    make_database: MakeDatabase, postgres_server: PostgresServer, encoding: str
) -> None:
    owned = make_database()
    name = f"{owned.database}_kept_in"
    with postgres.administer(postgres_server.port, postgres_server.password) as connection:
        made = f"create database {name} owner {owned.user} template template0 encoding '{encoding}' locale 'C'"
        connection.execute(made.encode())
    database = owned.model_copy(update={"database": name})
    text = "日本" if encoding == "EUC_JP" else "Größe"
    try:
        with database.connect() as connection, connection.cursor() as cursor:
            connection.execute("create table t (a text)")
            with cursor.copy("copy t from stdin") as copy:
                copy.write(text.encode())
        for opened in (database.connect(), psycopg.connect(database.uri())):
            with opened as connection, connection.cursor() as cursor:
                with cursor.copy("copy t to stdout") as copy:
                    assert b"".join(copy).decode() == f"{text}\n"
                assert cursor.execute("select char_length(a) from t").fetchone() == (len(text),)
    finally:
        with postgres.administer(postgres_server.port, postgres_server.password) as connection:
            connection.execute(f"drop database {name} with (force)".encode())


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
