"""Each form of paging, each way to say that it ends, on a server; and what leads in a circle is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from any_source import Reply, Request, serving

from analytics.source import paging as pages
from analytics.source.auth import Credentials
from analytics.source.http import HttpSource, Manners
from analytics.source.paging import End, Paging, read_pages
from analytics.source.window import WindowChanged
from terrane.errors import Permanent

pytestmark = pytest.mark.unit

ROWS = [{"id": n} for n in range(10)]
SIZE = 4
SIZED = {"size_parameter": "limit", "size": SIZE}

Answer = Callable[[Request], Any]


def read(answer: Answer, paging: Paging, items: str = "data.items") -> list[dict[str, Any]]:
    with serving(answer) as server, HttpSource(server.url, Credentials(), Manners(attempts=1)) as source:
        return [row for page in read_pages(source, "/rows", items, {"kind": "all"}, paging) for row in page]


def page_of(start: int, **more: Any) -> dict[str, Any]:
    return {"data": {"items": ROWS[start : start + SIZE]}, **more}


def by_cursor(last: dict[str, Any]) -> Answer:
    """A cursor in the answer; `last` is what the last page says beside its rows."""

    def answer(request: Request) -> Any:
        start = int(request.query.get("after", "0"))
        return page_of(start, **({"next": str(start + SIZE)} if start + SIZE < len(ROWS) else last))

    return answer


@pytest.mark.parametrize(
    ("last", "end"),
    [({"next": None}, End()), ({"next": ""}, End()), ({}, End(missing=True))],
)
def test_a_cursor_ends_when_it_is_null_empty_or_where_that_is_said_missing(last: dict[str, Any], end: End) -> None:
    assert read(by_cursor(last), Paging("cursor", "after", "next", end=end)) == ROWS


def test_a_cursor_that_is_missing_is_no_end_unless_that_is_said() -> None:
    with pytest.raises(Permanent, match=r"the answer has no next.*end: \{missing: true\}"):
        read(by_cursor({}), Paging("cursor", "after", "next"))


def test_a_cursor_ends_by_has_more_where_there_always_is_one() -> None:
    def answer(request: Request) -> Any:
        start = int(request.query.get("after", "0"))
        return page_of(start, next=str(start + SIZE), has_more=start + SIZE < len(ROWS))

    assert read(answer, Paging("cursor", "after", "next", end=End(more="has_more"))) == ROWS
    with pytest.raises(Permanent, match="nothing to ask for them by"):
        read(
            lambda request: page_of(0, next=None, has_more=True),
            Paging("cursor", "after", "next", end=End(more="has_more")),
        )


def test_a_cursor_ends_by_an_empty_page_where_there_always_is_one() -> None:
    def answer(request: Request) -> Any:
        start = int(request.query.get("after", "0"))
        return page_of(start, next=str(start + SIZE))

    assert read(answer, Paging("cursor", "after", "next", end=End(empty_page=True))) == ROWS


def test_an_empty_page_in_the_middle_is_no_end_of_a_cursor() -> None:
    pages = {None: ([0], "b"), "b": ([], "c"), "c": ([1], None)}

    def answer(request: Request) -> Any:
        ids, following = pages[request.query.get("after")]
        return {"data": {"items": [{"id": n} for n in ids]}, "next": following}

    assert read(answer, Paging("cursor", "after", "next")) == [{"id": 0}, {"id": 1}]


@pytest.mark.parametrize("end", [End(), End(short_page=True), End(more="has_more")])
def test_the_last_row_may_be_the_cursor(end: End) -> None:
    def answer(request: Request) -> Any:
        start = int(request.query.get("starting_after", "-1")) + 1
        return page_of(start, has_more=start + SIZE < len(ROWS))

    assert read(answer, Paging("cursor", "starting_after", last_row="id", end=end, **SIZED)) == ROWS


@pytest.mark.parametrize("end", [End(), End(short_page=True), End(total="total"), End(more="more")])
@pytest.mark.parametrize("first", [0, 1])
def test_numbers_of_pages_end_by_an_empty_or_short_page_a_total_or_has_more(end: End, first: int) -> None:
    def answer(request: Request) -> Any:
        start = (int(request.query["page"]) - first) * int(request.query["limit"])
        return page_of(start, total=len(ROWS), more=start + SIZE < len(ROWS))

    assert read(answer, Paging("page", "page", first=first, end=end, **SIZED)) == ROWS


@pytest.mark.parametrize("end", [End(), End(short_page=True), End(total="total")])
def test_an_offset_goes_on_by_the_rows_that_came(end: End) -> None:
    """Also of a server that gives fewer than it is asked for."""
    asked = {"size_parameter": "limit", "size": SIZE if end.short_page else 100}
    assert (
        read(
            lambda request: page_of(int(request.query["offset"]), total=len(ROWS)),
            Paging("offset", "offset", end=end, **asked),
        )
        == ROWS
    )


@pytest.mark.parametrize("announced", [9, 11])
def test_a_total_that_is_not_what_came_means_that_the_rows_changed(announced: int) -> None:
    with pytest.raises(WindowChanged, match=f"10 rows read|8 rows read, {announced} announced"):
        read(
            lambda request: page_of(int(request.query["offset"]), total=announced),
            Paging("offset", "offset", end=End(total="total")),
        )


def test_links_are_followed_in_the_header_and_in_the_answer() -> None:
    def in_header(request: Request) -> Reply:
        start = int(request.query.get("p", "0"))
        link = f'</rows?kind=all&p={start + SIZE}>; rel="next", </rows>; rel="first"'
        return Reply(page_of(start), headers={"Link": link} if start + SIZE < len(ROWS) else {})

    def in_answer(request: Request) -> Any:
        start = int(request.query.get("p", "0"))
        following = f"/rows?p={start + SIZE}" if start + SIZE < len(ROWS) else None
        return page_of(start, links={"next": following})

    assert read(in_header, Paging("link")) == ROWS
    assert read(in_answer, Paging("link", next="links.next")) == ROWS


def test_a_token_in_a_header_is_sent_back() -> None:
    def answer(request: Request) -> Reply:
        start = int(request.query.get("token", "0"))
        return Reply(page_of(start), headers={"X-Next": str(start + SIZE)} if start + SIZE < len(ROWS) else {})

    assert read(answer, Paging("token", "token", "X-Next")) == ROWS


def test_without_paging_an_answer_is_all_there_is_and_may_be_a_list_or_null() -> None:
    assert read(lambda request: ROWS, Paging(), items="") == ROWS
    assert read(lambda request: {"items": None}, Paging(), items="items") == []
    with pytest.raises(Permanent, match="data is no list of objects"):
        read(lambda request: {"data": "none"}, Paging(), items="data")
    with pytest.raises(Permanent, match="data is no list of objects"):
        read(lambda request: {}, Paging(), items="data")


@pytest.mark.parametrize("paging", [Paging("page", "page"), Paging("offset", "offset")])
def test_a_server_that_does_not_know_the_parameter_gives_its_first_page_for_ever_and_is_refused(paging: Paging) -> None:
    with pytest.raises(Permanent, match="gives a page again"):
        read(lambda request: page_of(0), paging)


@pytest.mark.parametrize("paging", [Paging("cursor", "after", "next"), Paging("link", next="next")])
def test_pages_without_rows_that_lead_in_a_circle_are_refused(paging: Paging) -> None:
    count = iter(range(1000))
    with pytest.raises(Permanent, match="leads back to a page that was read"):
        read(lambda request: {"data": {"items": []}, "next": f"/{next(count) % 3}"}, paging)


def test_pages_without_rows_that_lead_on_for_ever_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_EMPTY", 20)
    count = iter(range(1000))
    with pytest.raises(Permanent, match=r"20 pages without a row.*end: \{empty_page: true\}"):
        read(lambda request: {"data": {"items": []}, "next": str(next(count))}, Paging("cursor", "after", "next"))
    assert next(count) == 21


def test_a_next_page_at_another_host_is_not_asked() -> None:
    with serving(lambda request: []) as other:
        with pytest.raises(Permanent, match="another host; it was not asked"):
            read(lambda request: page_of(0, next=f"{other.url}/rows"), Paging("link", next="next"))
        assert other.requests == []


@pytest.mark.parametrize(
    ("end", "says"),
    [(End(more="more"), "more is not true or false"), (End(total="more"), "more is no whole number")],
)
def test_a_field_of_another_kind_is_no_end(end: End, says: str) -> None:
    with pytest.raises(Permanent, match=says):
        read(lambda request: page_of(0, more="yes", next=None), Paging("cursor", "after", "next", end=end))
