"""What a retry may mend is tried again, what it can't is not, and no message holds a row's values or a secret."""

from __future__ import annotations

import errno
import json
import urllib.error
from collections.abc import Callable
from email.message import Message

import dagster as dg
import httpx
import obstore.exceptions
import psycopg
import psycopg2
import pytest
import redis.exceptions
import sqlalchemy.exc

from terrane.errors import (
    Permanent,
    Temporary,
    as_failures,
    database_errors,
    is_temporary,
    is_temporary_text,
    message_of,
    store_errors,
    without_secrets,
)
from terrane.object_store.compare_and_swap import Contended
from terrane.postgres import PostgresResource

SECRET_ROW = "the diary of somebody"


def answered(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://source/")
    return httpx.HTTPStatusError(str(status), request=request, response=httpx.Response(status, request=request))


def wrapped(error: Exception) -> sqlalchemy.exc.DBAPIError:
    return sqlalchemy.exc.DBAPIError("select 1", {}, error)


TEMPORARY = [
    Temporary(),
    dg.Failure("", allow_retries=True),
    ConnectionResetError(),
    TimeoutError(),
    OSError(errno.ENOSPC, "no room"),
    psycopg.OperationalError("connection refused"),
    psycopg.OperationalError("connection to server failed: FATAL:  the database system is starting up"),
    psycopg.OperationalError("FATAL:  remaining connection slots are reserved"),
    psycopg.InterfaceError("the connection is closed"),
    psycopg.errors.DeadlockDetected(),
    psycopg.errors.SerializationFailure(),
    psycopg.errors.DiskFull(),
    psycopg.errors.OutOfMemory(),
    psycopg.errors.TooManyConnections(),
    psycopg.errors.AdminShutdown(),
    psycopg.errors.CannotConnectNow(),
    psycopg.errors.QueryCanceled(),
    psycopg.errors.LockNotAvailable(),
    psycopg.errors.IoError(),
    psycopg.errors.InternalError_(),
    psycopg.errors.DataCorrupted(),
    psycopg2.OperationalError("server closed the connection"),
    wrapped(psycopg.errors.DeadlockDetected()),
    redis.exceptions.ConnectionError(),
    redis.exceptions.TimeoutError(),
    redis.exceptions.BusyLoadingError(),
    redis.exceptions.ReadOnlyError(),
    redis.exceptions.RedisClusterException("Redis Cluster cannot be connected: Connection refused"),
    httpx.ConnectError(""),
    httpx.ReadTimeout(""),
    answered(429),
    answered(503),
    urllib.error.HTTPError("http://source/", 502, "", Message(), None),
    obstore.exceptions.GenericError(""),
    Contended(),
]
WRONG_PASSWORD = 'connection to server at "db", port 5432 failed: FATAL:  password authentication failed for user "u"'
PERMANENT = [
    Permanent(),
    dg.Failure("", allow_retries=False),
    ValueError(),
    KeyError(),
    FileNotFoundError(),
    PermissionError(errno.EACCES, ""),
    psycopg.errors.NotNullViolation(),
    psycopg.errors.UniqueViolation(),
    psycopg.errors.UndefinedTable(),
    psycopg.errors.SyntaxError(),
    psycopg.errors.InvalidTextRepresentation(),
    psycopg.errors.DivisionByZero(),
    psycopg.errors.InsufficientPrivilege(),
    psycopg.errors.InvalidPassword(),
    psycopg.OperationalError(WRONG_PASSWORD),
    wrapped(psycopg2.OperationalError(WRONG_PASSWORD)),
    psycopg.OperationalError('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "u", database "d", no encryption'),
    psycopg.OperationalError('FATAL:  role "u" is not permitted to log in'),
    psycopg.errors.FeatureNotSupported(),
    wrapped(psycopg.errors.UndefinedColumn()),
    redis.exceptions.AuthenticationError(),
    redis.exceptions.ConnectionError("WRONGPASS invalid username-password pair or user is disabled."),
    redis.exceptions.RedisClusterException("Redis Cluster cannot be connected: NOAUTH Authentication required."),
    redis.exceptions.NoPermissionError("NOPERM this user has no permissions to run the 'hset' command"),
    redis.exceptions.ResponseError(),
    answered(400),
    answered(401),
    answered(404),
    obstore.exceptions.PermissionDeniedError(""),
    obstore.exceptions.NotFoundError(""),
    obstore.exceptions.GenericError("<Error><Code>InvalidAccessKeyId</Code></Error>"),
    obstore.exceptions.GenericError("<Error><Code>SignatureDoesNotMatch</Code></Error>"),
]


@pytest.mark.unit
@pytest.mark.parametrize("error", TEMPORARY, ids=lambda e: f"{type(e).__name__} {e}"[:40])
def test_a_retry_may_mend(error: Exception) -> None:
    assert is_temporary(error)


@pytest.mark.unit
@pytest.mark.parametrize("error", PERMANENT, ids=lambda e: f"{type(e).__name__} {e}"[:40])
def test_no_retry_mends(error: Exception) -> None:
    assert not is_temporary(error)


@pytest.mark.unit
def test_of_a_text_alone_a_refused_password_is_no_lost_connection() -> None:
    assert is_temporary_text('connection to server at "db", port 5432 failed: Connection refused')
    assert not is_temporary_text(WRONG_PASSWORD)
    assert not is_temporary_text("syntax error at or near")


@pytest.fixture
def database(make_database: Callable[..., PostgresResource]) -> PostgresResource:
    made = make_database()
    with made.connect() as connection:
        connection.execute("create table diary (id int primary key, words text not null, mood int check (mood < 9))")
        connection.execute("insert into diary values (1, %s, 3)", [SECRET_ROW])
    return made


def fault(database: PostgresResource, statement: str) -> Temporary | Permanent:
    def run() -> None:
        with database_errors(database, "writing diary"), database.connect() as connection:
            connection.execute(statement.encode())

    with pytest.raises((Temporary, Permanent)) as raised:
        run()
    return raised.value


ROW = f"'{SECRET_ROW}'"
FAULTS = {
    f"insert into diary values (1, {ROW}, 3)": "diary_pkey",
    f"insert into diary values (2, {ROW}, 12)": "diary_mood_check",
    "insert into diary values (2, null, 3)": 'null value in column "words"',
    f"select {ROW}::int": "invalid input syntax for type integer",
    f"select {ROW}::timestamptz": "invalid input syntax for type timestamp with time zone",
    f"do $$ begin raise exception using message = 'no', detail = {ROW}, hint = {ROW}; end $$": "no (SQLSTATE P0001)",
}


@pytest.mark.integration
@pytest.mark.parametrize(("statement", "says"), FAULTS.items(), ids=range(len(FAULTS)))
def test_a_refused_row_is_told_by_column_and_constraint_alone(
    database: PostgresResource, statement: str, says: str
) -> None:
    error = fault(database, statement)
    assert isinstance(error, Permanent)
    assert says in str(error)
    assert "while writing diary" in str(error)
    assert SECRET_ROW not in str(error)


@pytest.mark.integration
def test_a_copied_value_that_does_not_fit_is_told_by_line_and_column(database: PostgresResource) -> None:
    def write() -> None:
        with (
            database_errors(database, "writing diary"),
            database.connect() as connection,
            connection.cursor() as cursor,
            cursor.copy("copy diary (id, words, mood) from stdin") as copy,
        ):
            copy.write_row([2, "fine", 3])
            copy.write_row([3, "fine", SECRET_ROW])

    with pytest.raises(Permanent) as raised:
        write()
    assert "line 2 of what was copied, column mood" in str(raised.value)
    assert SECRET_ROW not in str(raised.value)


@pytest.mark.integration
@pytest.mark.parametrize("state", ["53100", "40P01", "57014", "58030", "XX001"])
def test_a_fault_of_the_server_may_pass(database: PostgresResource, state: str) -> None:
    statement = f"do $$ begin raise exception using message = 'no', errcode = '{state}'; end $$"
    error = fault(database, statement)
    assert isinstance(error, Temporary)
    assert f"SQLSTATE {state}" in str(error)


@pytest.mark.integration
def test_a_server_that_ends_the_session_may_come_back(database: PostgresResource) -> None:
    assert isinstance(fault(database, "select pg_terminate_backend(pg_backend_pid())"), Temporary)


@pytest.mark.integration
def test_no_event_of_a_failed_run_holds_the_row(database: PostgresResource) -> None:
    @dg.op
    def write() -> None:
        with as_failures(), database_errors(database, "writing diary"), database.connect() as connection:
            connection.execute(f"insert into diary values (1, {ROW}, 3)".encode())

    @dg.job
    def job() -> None:
        write()

    with dg.DagsterInstance.ephemeral() as instance:
        run = job.execute_in_process(instance=instance, raise_on_error=False)
        events = instance.all_logs(run.run_id)
        assert not run.success
        text = json.dumps([event.to_json() for event in events])
    assert "diary_pkey" in text
    assert SECRET_ROW not in text
    assert "Key (id)" not in text


@pytest.mark.unit
def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), store_errors("the lake", "reading"):
        _ = 1 / 0
    with pytest.raises(Temporary, match="^as it is$"), store_errors("the lake", "reading"):
        raise Temporary("as it is")


@pytest.mark.unit
def test_secrets_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "the-key\n")
    monkeypatch.setenv("WAREHOUSE_PASSWORD", "pass word")
    monkeypatch.setenv("SHORT_KEY", "a")
    text = "b'the-key\\n' the-key pass word a postgresql://me:hidden@db/x host=db password=hidden2 user=me"
    assert without_secrets(text) == "b'***\\n' *** *** a postgresql://***:***@db/x host=db password=*** user=me"
    assert "the-key" not in message_of(ValueError("Illegal header value b'the-key\\n'"))
