"""Two kinds of error: temporary, which a retry may mend, and permanent, which somebody has to see to.

Which is which is decided here alone, by SQLSTATE class and exception type, without importing the libraries that raise
them. Messages made here name columns and constraints and never carry a row's values or a secret.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg

from terrane.store_advice import postgres_advice, redis_advice, s3_advice, says_refused

if TYPE_CHECKING:
    from terrane.object_store import ObjectStoreResource
    from terrane.postgres import PostgresResource

# Classes of SQLSTATE: connection, transaction rollback, resources, operator, system, internal error.
TEMPORARY_CLASSES = ("08", "40", "53", "57", "58", "XX")
LOST_CLASSES = ("08", "57P")
# A lock that is not to be had, and sessions that the server ended.
TEMPORARY_STATES = ("55P03", "25P03", "25P04")
# Where a driver gives no SQLSTATE: its connection's own errors. The first that an error is an instance of decides.
BY_TYPE = {
    "terrane.object_store.store.StoreFull": True,
    "redis.exceptions.AuthenticationError": False,
    "redis.exceptions.AuthorizationError": False,
    "redis.exceptions.ConnectionError": True,
    "redis.exceptions.RedisClusterException": True,
    "redis.exceptions.TimeoutError": True,
    "redis.exceptions.ReadOnlyError": True,
    "redis.exceptions.OutOfMemoryError": True,
    "redis.exceptions.ClusterDownError": True,
    "redis.exceptions.TryAgainError": True,
    "httpx.TransportError": True,
    "obstore.exceptions.UnauthenticatedError": False,
    "obstore.exceptions.PermissionDeniedError": False,
    "obstore.exceptions.NotFoundError": False,
    "obstore.exceptions.InvalidPathError": False,
    "obstore.exceptions.NotSupportedError": False,
    "obstore.exceptions.UnknownConfigurationKeyError": False,
    "obstore.exceptions.AlreadyExistsError": False,
    "obstore.exceptions.BaseError": True,
    "terrane.object_store.compare_and_swap.Contended": True,
    "terrane.publishing.publisher.AttemptTooOld": True,
    "adbc_driver_manager.OperationalError": True,
    "psycopg.OperationalError": True,
    "psycopg.InterfaceError": True,
    "psycopg2.OperationalError": True,
    "psycopg2.InterfaceError": True,
}
ADVICE = {
    ("psycopg.", "psycopg2.", "adbc_driver_manager.", "sqlalchemy.exc."): postgres_advice,
    ("redis.",): redis_advice,
    ("obstore.", "botocore."): s3_advice,
}
# Modules under which a library defines what it exports under a shorter name.
EXPORTED = {"httpx._exceptions.": "httpx."}
TEMPORARY_STATUSES = (408, 425, 429, *range(500, 600))
TEMPORARY_ERRNOS = {
    errno.EAGAIN,
    errno.EDQUOT,
    errno.EHOSTUNREACH,
    errno.EIO,
    errno.EMFILE,
    errno.ENETUNREACH,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.ESTALE,
}
SECRETS = re.compile(r"(KEY|TOKEN|PASSWORD|SECRET|WEBHOOK|CREDENTIALS|CONNECTION_STRING)", re.IGNORECASE)
SHORTEST_SECRET = 4
HIDDEN = "***"
USER_INFO = re.compile(r"(?<=://)[^/\s@:]*:[^/\s@]*(?=@)")
PASSWORD_FIELD = re.compile(r"\b(password|passwd|secret|token)(\s*=\s*)('[^']*'|[^\s,;&]+)", re.IGNORECASE)
# Before the pages in which obstore repeats an error for its own developers.
DEBUG = " Debug source:"
# What S3 answers is a page, of which its code says enough.
S3_ANSWER = re.compile(r"<\?xml.*?<Code>(\w+)</Code>.*", re.DOTALL)
# Errors of this class quote the value that did not fit.
DATA_EXCEPTION = "22"
QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
PLACE_OF_COPY = re.compile(r"COPY \S+, line (\d+)(?:, column ([^:\n]+))?")


# What Postgres and the sockets below it say; for programs that hand on the text alone, as dbt does.
TEMPORARY_TEXT = re.compile(
    "could not connect|connection (to server|refused|reset|timed out|already closed)|server closed the connection"
    "|terminating connection|SSL connection has been closed|timeout expired|could not translate host name"
    "|the database system is (starting up|shutting down|in recovery mode)|too many (clients|connections)"
    "|remaining connection slots|deadlock detected|could not serialize access|No space left on device"
    "|could not (extend|write to) file|out of (memory|shared memory)|due to lock timeout|due to conflict with recovery",
    re.IGNORECASE,
)


class Temporary(Exception):
    """A retry may mend it: the step is tried again."""


class NotYet(Temporary):
    """Time mends it, but more of it than a run should wait for: the step fails at once and is asked for again later."""


class Permanent(Exception):
    """No retry mends it: the step fails at once, and the message says what to do."""


def is_temporary(error: BaseException) -> bool:
    """Whether a retry may mend the error: a lost connection, a deadlock, a full disk, an answer 5xx or 429.

    A server that does not answer may come back; one that refuses a password, a key or a certificate was reached, and
    answers the same the next time. What is not known is permanent: a model's, a row's or a definition's own fault. An
    error that wraps a driver's, as SQLAlchemy's, is judged by it.
    """
    if isinstance(error, (Temporary, Permanent)):
        return isinstance(error, Temporary)
    if isinstance(error, dg.Failure):
        return error.allow_retries
    driver = getattr(error, "orig", None)
    if isinstance(driver, BaseException):
        return is_temporary(driver)
    state = sqlstate(error)
    if state:
        return state.startswith(TEMPORARY_CLASSES) or state in TEMPORARY_STATES
    status = http_status(error)
    if status is not None:
        return status in TEMPORARY_STATUSES
    for name in _type_names(error):
        if name in BY_TYPE:
            # Of a connection's own errors, those that waiting does not mend: drivers give them no other sign.
            return BY_TYPE[name] and not says_refused(str(error))
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    return isinstance(error, OSError) and error.errno in TEMPORARY_ERRNOS


def is_temporary_text(text: str) -> bool:
    """As `is_temporary`, of a program's message that says no SQLSTATE; of a server that speaks English."""
    return bool(TEMPORARY_TEXT.search(text)) and not says_refused(text)


def sqlstate(error: BaseException) -> str | None:
    """The five characters that Postgres names the error by, of psycopg, psycopg2 or ADBC; None where there are none."""
    for name in ("sqlstate", "pgcode"):
        state = getattr(error, name, None)
        if isinstance(state, str) and len(state) == 5:
            return state
    return None


def http_status(error: BaseException) -> int | None:
    """The status of an answer over HTTP that became an error, of httpx, requests or urllib."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is None and "urllib.error.HTTPError" in _type_names(error):
        status = getattr(error, "code", None)
    return status if isinstance(status, int) else None


def message_of(error: BaseException) -> str:
    """The error in a line, without a row's values and without secrets.

    Of Postgres' errors: the primary message, with the column and constraint, and the line and column of a COPY; never
    DETAIL, HINT or CONTEXT, which hold rows. Values that the primary message quotes are replaced by three dots. Where a
    store refuses the connection, the variables to look at follow.
    """
    diagnosis = getattr(error, "diag", None)
    primary = getattr(diagnosis, "message_primary", None)
    if not primary:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        text = lines[0] if sqlstate(error) else " ".join(" ".join(lines).split())
        text = S3_ANSWER.sub(r"\1", text.partition(DEBUG)[0])
        if advice := _advice(error):
            text = f"{text.rstrip('.')}; see {advice}"
        return without_secrets(_without_values(text, sqlstate(error)))
    state = sqlstate(error)
    return without_secrets(" ".join([_without_values(primary, state), *_places(diagnosis), f"(SQLSTATE {state})"]))


def without_secrets(text: str) -> str:
    """The text with passwords of URLs, and values of variables that name a secret, replaced by three asterisks."""
    for name, value in os.environ.items():
        if SECRETS.search(name):
            secret = value.strip()
            for form in (secret, secret.encode("unicode_escape").decode()):
                if len(form) >= SHORTEST_SECRET:
                    text = text.replace(form, HIDDEN)
    return PASSWORD_FIELD.sub(rf"\1\2{HIDDEN}", USER_INFO.sub(f"{HIDDEN}:{HIDDEN}", text))


@contextmanager
def as_failures() -> Iterator[None]:
    """Ends the step as its retry policy should see it; what the driver said does not follow the message into events."""
    try:
        yield
    except NotYet as error:
        failure = dg.Failure(without_secrets(str(error)), allow_retries=False)
    except Temporary as error:
        failure = dg.Failure(without_secrets(str(error)), allow_retries=True)
    except Permanent as error:
        failure = dg.Failure(without_secrets(str(error)), allow_retries=False)
    else:
        return
    raise failure from None


@contextmanager
def store_errors(place: str, doing: str, advice: str = "compare it with its definition") -> Iterator[None]:
    """Makes errors of a store Temporary or Permanent, and says where it is, what was being done, and what to do.

    Temporary and Permanent pass as they are, and so does what is no error of a store: see `is_of_a_store`.

    Args:
        place: the store, as `the warehouse db:5432/warehouse`.
        doing: as `writing raw.users`.
        advice: what to do about a permanent error.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, (Temporary, Permanent, dg.Failure)) or not is_of_a_store(error):
            raise
        made = _explained(error, place, doing, advice)
    else:
        return
    raise made from None


@contextmanager
def database_errors(warehouse: PostgresResource, doing: str) -> Iterator[None]:
    """As `store_errors`, of a database."""
    place = f"the warehouse {warehouse.host}:{warehouse.port}/{warehouse.database}"
    with store_errors(place, doing, "compare the table with its columns in defs.yaml"):
        yield


@contextmanager
def lake_errors(store: ObjectStoreResource, doing: str) -> Iterator[None]:
    """As `store_errors`, of the object store."""
    with store_errors(f"the object store {store.url()}", doing, "see that its keys may do it"):
        yield


def is_of_a_store(error: BaseException) -> bool:
    """Whether a driver of a store raised it: Postgres', Redis', the object store's or HTTP's."""
    names = _type_names(error)
    libraries = ("psycopg.", "psycopg2.", "adbc_driver_manager.", "sqlalchemy.exc.", "redis.", "obstore.", "httpx.")
    return any(name.startswith(libraries) or name in BY_TYPE for name in names)


def _explained(error: Exception, place: str, doing: str, advice: str) -> Temporary | Permanent:
    if is_temporary(error):
        state = sqlstate(error)
        became = "could not go on" if state and not state.startswith(LOST_CLASSES) else "was lost"
        return Temporary(
            f"{place} {became} while {doing}: {message_of(error)}. What was not yet committed is rolled "
            "back and what was is kept; see that it runs and has room, then run again"
        )
    return Permanent(
        f"{place} refused what was asked while {doing}: {message_of(error)}. Nothing of it is kept; {advice}, then "
        "run again"
    )


def _advice(error: BaseException) -> str:
    """The variables to look at, where a store refuses the connection and the message does not name them yet."""
    text, names = str(error), _type_names(error)
    if "; see " in text:
        return ""
    for libraries, advice in ADVICE.items():
        if any(name.startswith(libraries) for name in names):
            return advice(text)
    return ""


def _without_values(text: str, state: str | None) -> str:
    return QUOTED.sub('"..."', text) if state and state.startswith(DATA_EXCEPTION) else text


def _places(diagnosis: Any) -> list[str]:
    """The names in the error: a column, a constraint, the line and column of a COPY."""
    named = [
        f"{word} {name}"
        for word, name in (
            ("table", diagnosis.table_name),
            ("column", diagnosis.column_name),
            ("constraint", diagnosis.constraint_name),
        )
        if name and name not in (diagnosis.message_primary or "")
    ]
    copied = PLACE_OF_COPY.search(diagnosis.context or "")
    if copied:
        named.append(f"line {copied[1]} of what was copied" + (f", column {copied[2].strip()}" if copied[2] else ""))
    return [f"[{', '.join(named)}]"] if named else []


def _type_names(error: BaseException) -> list[str]:
    """The full names of the error's classes, most special first, each under the module that exports it."""
    names = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__]
    for defined, exported in EXPORTED.items():
        names = [exported + name.removeprefix(defined) if name.startswith(defined) else name for name in names]
    return names
