"""Where an external table comes from, as its defs.yaml says it: HTTP, another Postgres, or files."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from analytics.source.files import FileFormat
from analytics.source.paging import End, Paging
from terrane.object_store import DATA_LAKE, LANDING_ZONE

BUCKETS = (LANDING_ZONE, DATA_LAKE)


@dataclass
class NamedSecret(dg.Resolvable):
    """A secret under a name: of a header, or of a parameter of the address; `variable` holds it."""

    name: str
    variable: str


@dataclass
class BasicAuth(dg.Resolvable):
    """The variables that hold a user and a password."""

    user: str
    password: str


@dataclass
class Auth(dg.Resolvable):
    """What the source knows the platform by: one of the four. Names are of variables, which hold the secrets.

    Attributes:
        bearer: variable with the token of `Authorization: Bearer`.
        header: a header of any name.
        basic: a user and a password.
        query: a parameter of the address.
    """

    bearer: str | None = None
    header: NamedSecret | None = None
    basic: BasicAuth | None = None
    query: NamedSecret | None = None

    def __post_init__(self) -> None:
        _exactly_one("auth", self)


@dataclass
class Ends(dg.Resolvable):
    """By what else the pages end: see analytics.source.paging.End.

    Attributes:
        missing: the cursor's or link's field is left out of the last answer.
        empty_page: a page without rows is the last; of numbers and offsets it always is.
        short_page: a page with fewer rows than `size` is the last.
        more: field that is false in the last answer, as has_more.
        total: field with the number of all rows.
    """

    missing: bool = False
    empty_page: bool = False
    short_page: bool = False
    more: str | None = None
    total: str | None = None


@dataclass
class Cursor(dg.Resolvable):
    """A cursor: in a field of the answer (`next`), or of the page's last row (`last_row`), sent back as `parameter`."""

    parameter: str
    next: str | None = None
    last_row: str | None = None

    def __post_init__(self) -> None:
        if bool(self.next) == bool(self.last_row):
            raise ValueError("a cursor is either in `next`, of the answer, or in `last_row`, a field of the last row")


@dataclass
class PageNumber(dg.Resolvable):
    """A page's number, sent as `parameter`; `first` is that of the first."""

    parameter: str
    first: int = 1


@dataclass
class Offset(dg.Resolvable):
    """How many rows came before, sent as `parameter`."""

    parameter: str


@dataclass
class Link(dg.Resolvable):
    """The next page's address: in the header Link, or in a field of the answer, `next`."""

    next: str | None = None


@dataclass
class Token(dg.Resolvable):
    """A token in a header of the answer, `header`, sent back as `parameter`."""

    parameter: str
    header: str


@dataclass
class Size(dg.Resolvable):
    """How many rows of a page to ask for, sent as `parameter`."""

    parameter: str
    rows: int


@dataclass
class Pages(dg.Resolvable):
    """How the source has its pages: one of the five forms, with `size` and `end`."""

    cursor: Cursor | None = None
    page: PageNumber | None = None
    offset: Offset | None = None
    link: Link | None = None
    token: Token | None = None
    size: Size | None = None
    end: Ends = field(default_factory=Ends)

    def __post_init__(self) -> None:
        forms = ("cursor", "page", "offset", "link", "token")
        if sum(getattr(self, form) is not None for form in forms) != 1:
            raise ValueError(f"paging is exactly one of {', '.join(forms)}")
        if self.end.short_page and not self.size:
            raise ValueError("end: short_page needs a size, which a page may be shorter than")

    def as_paging(self) -> Paging:
        sized = {"size_parameter": self.size.parameter, "size": self.size.rows} if self.size else {}
        end = End(**vars(self.end))
        if self.cursor:
            return Paging("cursor", self.cursor.parameter, self.cursor.next, self.cursor.last_row, end=end, **sized)
        if self.page:
            return Paging("page", self.page.parameter, first=self.page.first, end=end, **sized)
        if self.offset:
            return Paging("offset", self.offset.parameter, end=end, **sized)
        if self.token:
            return Paging("token", self.token.parameter, self.token.header, end=end, **sized)
        return Paging("link", next=self.link.next if self.link else None, end=end, **sized)


@dataclass
class Since(dg.Resolvable):
    """That only what is new is asked for, by `newest_by`.

    Attributes:
        parameter: of the route, with the newest that is there already; a time in ISO 8601. Of a database none.
        look_back_hours: how much before that is asked for again, of a time: for what comes late.
        look_back: likewise of a number that grows.
    """

    parameter: str = ""
    look_back_hours: float = 0
    look_back: int = 0


@dataclass
class Http(dg.Resolvable):
    """JSON over HTTP.

    Attributes:
        url: as https://shop.example/api; or `url_variable`, where laptop and cluster differ.
        route: as /v2/orders.
        items: field with the rows, as data.items; empty where the answer is the list itself.
        parameters: of every request.
        auth: what the source knows the platform by; a key goes to this host alone, and never follows a redirect to
            another.
        paging: how it has its pages; left out, an answer is all there is.
        since: that only what is new is asked for.
        requests_a_second: at most, redirects and repetitions included.
        timeout_s: for connecting, and for each piece of an answer.
        attempts: how often a request is sent before its failure is the run's.
        backoff_s: the first wait between two; it doubles, up to 30 s.
    """

    route: str
    url: str | None = None
    url_variable: str | None = None
    items: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    auth: Auth | None = None
    paging: Pages | None = None
    since: Since | None = None
    requests_a_second: float | None = None
    timeout_s: float = 30.0
    attempts: int = 5
    backoff_s: float = 0.5

    def __post_init__(self) -> None:
        _one_url("http", self.url, self.url_variable)
        if self.since and not self.since.parameter:
            raise ValueError("since of http needs the parameter that the source takes it by")


@dataclass
class Database(dg.Resolvable):
    """A table or view of another Postgres.

    Attributes:
        variables: what its variables begin with: SHOP for SHOP_{HOST,PORT,USER,PASSWORD,DB}, and SHOP_SSLMODE.
        relation: as public.orders.
        since: that only what is new is read, by `newest_by`.
    """

    variables: str
    relation: str
    since: Since | None = None


@dataclass
class Files(dg.Resolvable):
    """Files, by their address or in a bucket.

    Attributes:
        format: csv (UTF-8, with a header), jsonl (an object of JSON a line) or parquet.
        url: of one file; or `url_variable`.
        bucket: landing-zone or data-lake, by its purpose; with `prefix`.
        prefix: what the files' keys begin with. Each file is taken once, as its content is; `replace` takes all.
        auth: as of http.
        delimiter: between cells of CSV.
        nulls: texts of CSV that are no value.
    """

    format: FileFormat
    url: str | None = None
    url_variable: str | None = None
    bucket: str | None = None
    prefix: str = ""
    auth: Auth | None = None
    delimiter: str = ","
    nulls: Sequence[str] = field(default_factory=lambda: [""])

    def __post_init__(self) -> None:
        if self.bucket is None:
            _one_url("files", self.url, self.url_variable)
        elif self.url or self.url_variable or self.auth or not self.prefix:
            raise ValueError("files are those of a bucket, with a prefix, or one by its url")
        elif self.bucket not in BUCKETS:
            raise ValueError(f"{self.bucket} is none of the platform's buckets, {' and '.join(BUCKETS)}")


def value_of(literal: str | None, variable: str | None) -> str:
    """An address that stands in the YAML, or in a variable when a run starts. Raises KeyError without it."""
    return literal if literal is not None else os.environ[variable or ""]


def _one_url(what: str, url: str | None, variable: str | None) -> None:
    if bool(url) == bool(variable):
        raise ValueError(f"{what} has either a url or a url_variable")


def _exactly_one(what: str, of: object) -> None:
    if sum(value is not None for value in vars(of).values()) != 1:
        raise ValueError(f"{what} is exactly one of {', '.join(vars(of))}")
