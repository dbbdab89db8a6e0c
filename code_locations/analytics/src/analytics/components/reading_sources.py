"""From what defs.yaml says of a source to its rows in the warehouse: which reader, from where on, in which pieces."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from analytics.components.external_source import Auth, Database, Files, Http, Since, value_of
from analytics.external import Part, Read, Refuse, Taken, Target, chained, files_taken, take
from analytics.source import auth
from analytics.source.database import read_relation
from analytics.source.files import Reading, read_file
from analytics.source.http import HttpSource, Manners
from analytics.source.paging import Paging, read_pages
from analytics.source.patience import not_before
from analytics.source.plain import Field, select
from analytics.source.window import Row
from terrane.errors import Permanent, lake_errors
from terrane.object_store import ObjectStoreResource, fetch_object, versions_of_objects
from terrane.postgres import PostgresResource


@dataclass(frozen=True)
class Asked:
    """A source: its fields, and where they come from."""

    fields: Sequence[Field]
    http: Http | None
    database: Database | None
    files: Files | None

    @property
    def kind(self) -> str:
        return "http" if self.http else "database" if self.database else "files"

    @property
    def since(self) -> Since | None:
        return self.http.since if self.http else self.database.since if self.database else None


def read_source(
    warehouse: PostgresResource, store: ObjectStoreResource, target: Target, asked: Asked, run_id: str
) -> Taken:
    """Takes what the source has. Raises Temporary and Permanent as `take`."""
    if asked.http:
        with _http(asked.http, asked.http.auth) as source, not_before(warehouse, source):
            read = _of_http(source, asked.http, asked.fields)
            return take(warehouse, target, lambda: [Part(read)], run_id)
    if asked.database:
        read = _of_database(_database(asked.database), asked.database, target, asked.fields)
        return take(warehouse, target, lambda: [Part(read)], run_id)
    assert asked.files
    with tempfile.TemporaryDirectory(prefix="terrane-source-") as folder:
        if asked.files.bucket:
            return take(warehouse, target, _of_bucket(store, warehouse, target, asked, Path(folder)), run_id)
        with _http(asked.files, asked.files.auth) as source, not_before(warehouse, source):
            read = _of_url(source, asked.files, asked.fields, Path(folder))
            return take(warehouse, target, lambda: [Part(read)], run_id)


def _http(source: Http | Files, given: Auth | None) -> HttpSource:
    try:
        url = value_of(source.url, source.url_variable)
    except KeyError:
        raise Permanent(f"{source.url_variable} is not set; it holds the source's address") from None
    if isinstance(source, Files):
        return HttpSource(url, _credentials(given), Manners())
    manners = Manners(source.requests_a_second, source.timeout_s, source.attempts, source.backoff_s)
    return HttpSource(url, _credentials(given), manners)


def _credentials(given: Auth | None) -> auth.Credentials:
    if given is None:
        return auth.Credentials()
    if given.bearer:
        return auth.bearer(given.bearer)
    if given.header:
        return auth.header(given.header.name, given.header.variable)
    if given.query:
        return auth.query(given.query.name, given.query.variable)
    assert given.basic
    return auth.basic(given.basic.user, given.basic.password)


def _of_http(source: HttpSource, http: Http, fields: Sequence[Field]) -> Read:
    paging = http.paging.as_paging() if http.paging else Paging()

    def read(since: Any, _: Refuse) -> Iterator[list[Row]]:
        parameters = dict(http.parameters)
        if http.since and since is not None:
            parameters[http.since.parameter] = as_text(back(since, http.since))
        for page in read_pages(source, http.route, http.items, parameters, paging):
            yield [select(row, fields) for row in page]

    return read


def _database(asked: Database) -> PostgresResource:
    try:
        return PostgresResource.from_process(asked.variables)
    except KeyError as error:
        raise Permanent(
            f"{error.args[0]} is not set, which says where {asked.relation} is; declare it among the variables of "
            "location.yaml, set it, and restart what runs the location"
        ) from None


def _of_database(database: PostgresResource, asked: Database, target: Target, fields: Sequence[Field]) -> Read:
    paths = {field.column.name: field.path for field in fields}
    time, key = target.table.time_column, paths[target.table.key]

    def read(since: Any, _: Refuse) -> Iterator[list[Row]]:
        started = (paths[time], back(since, asked.since)) if asked.since and time and since is not None else None
        yield from read_relation(database, asked.relation, fields, key, started)

    return read


def back(since: Any, how: Since) -> Any:
    """The newest that is there, less what is asked for again."""
    if isinstance(since, date):
        return since - timedelta(hours=how.look_back_hours)
    return since - how.look_back


def as_text(since: Any) -> str:
    """A moment in UTC, a date or a number as a parameter has it."""
    if isinstance(since, datetime):
        return since.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return since.isoformat() if isinstance(since, date) else str(since)


def _of_url(source: HttpSource, files: Files, fields: Sequence[Field], folder: Path) -> Read:
    """The file at the source's address, which is held in memory while it is fetched."""

    def read(_: Any, refuse: Refuse) -> Iterator[list[Row]]:
        file = folder / "content"
        file.write_bytes(source.get_bytes(""))
        yield from read_file(file, source.url.rpartition("/")[2], _reading(files), fields, refuse)

    return read


def _of_bucket(
    store: ObjectStoreResource, warehouse: PostgresResource, target: Target, asked: Asked, folder: Path
) -> Callable[[], list[Part]]:
    """Parts of the files below the prefix: all as one to replace the table, otherwise each that is not in it yet.

    Costs a listing of the prefix, of however many files ever came: 1,000 of them a request.
    """
    files = asked.files
    assert files
    assert files.bucket
    bucket = store.bucket(files.bucket)

    def of(key: str) -> Read:
        def read(_: Any, refuse: Refuse) -> Iterator[list[Row]]:
            file = folder / "content"
            # Here, since whoever writes the rows meanwhile takes a store's error for the warehouse's.
            with lake_errors(store, f"reading {key} of {files.bucket}"):
                fetch_object(bucket, key, file)
            yield from read_file(file, key, _reading(files), asked.fields, refuse)

        return read

    def parts() -> list[Part]:
        with lake_errors(store, f"listing {files.prefix} of {files.bucket}"):
            found = versions_of_objects(bucket, files.prefix)
        if not found:
            raise Permanent(f"there is no file below {files.prefix} of {files.bucket}; nothing was written")
        if target.writing.write == "replace":
            return [Part(chained([of(key) for key in found]))]
        there = files_taken(warehouse, target.table)
        return [Part(of(key), key, version) for key, version in found.items() if there.get(key) != version]

    return parts


def _reading(files: Files) -> Reading:
    return Reading(files.format, files.delimiter, tuple(files.nulls))
