"""Pages of a source over HTTP: how the next one is asked for, and by what it is known that there is none.

Five forms: a cursor in the answer or the last row's own field, a page's number, an offset, a link, a token in a header.
What can't be told from a fault is no end: a field that is not there where a cursor should be, a page that came before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analytics.source.http import Answer, HttpSource
from analytics.source.window import Row, WindowChanged
from terrane.errors import Permanent

ABSENT = object()
# An index that filters behind its pages has some; a source whose end is an empty page has them for ever.
MOST_EMPTY = 1000


@dataclass(frozen=True)
class End:
    """By what else a source says that there are no more pages, beside a cursor, link or token that is null or empty.

    Attributes:
        missing: the cursor's field is left out of the last answer; without this, its absence is refused.
        empty_page: a page without rows is the last.
        short_page: a page with fewer rows than `size` is the last. A source that gives fewer than it is asked for ends
            early by it, which only `total` notices.
        more: field that is false in the last answer.
        total: field with the number of all rows, which must have come when the pages end.
    """

    missing: bool = False
    empty_page: bool = False
    short_page: bool = False
    more: str | None = None
    total: str | None = None


@dataclass(frozen=True)
class Paging:
    """One form of paging, of the five.

    Attributes:
        kind: cursor, page, offset, link, token, or none for an answer that is all there is.
        parameter: what cursor, number, offset or token is sent as.
        next: field of the answer with the cursor or link; of a token the header's name.
        last_row: field of a page's last row that is the cursor.
        first: number of the first page.
        size: how many rows to ask for, and under which name.
        end: by what it ends.
    """

    kind: str = "none"
    parameter: str = ""
    next: str | None = None
    last_row: str | None = None
    first: int = 1
    size_parameter: str = ""
    size: int = 0
    end: End = field(default_factory=End)


def read_pages(
    source: HttpSource, route: str, items: str, parameters: Mapping[str, str], paging: Paging
) -> Iterator[list[Row]]:
    """The rows of all pages, a list a page.

    Args:
        items: field of the answer that holds the rows, as `data.items`; empty where the answer is the list itself.

    Raises:
        WindowChanged: the pages end before or after the number of rows that they announced, or the number changed.
        Permanent: an answer is not of the form, or leads back to a page that was read.
        Temporary: as `HttpSource.get`.
    """
    asked = dict(parameters) | ({paging.size_parameter: str(paging.size)} if paging.size_parameter else {})
    place, seen, totals, rows, number = f"{source.url}{route}", _Seen(), [], 0, 0
    address, sent = route, asked | _first(paging)
    while True:
        answer = source.get(address, sent)
        page = _rows(answer.json, items, place)
        rows, number = rows + len(page), number + 1
        if paging.end.total:
            totals.append(_total(answer.json, paging.end.total, place))
        seen.refuse_endless(page, place)
        yield page
        following = _following(paging, answer, page, rows, number, totals, place)
        if following is None:
            break
        seen.refuse_led_back(following, place)
        address, sent = (following, {}) if paging.kind == "link" else (route, asked | {paging.parameter: following})
    if totals and not rows == totals[0] == totals[-1]:
        raise WindowChanged(
            f"{place}: {rows} rows read, {totals[0]} announced by the first page, {totals[-1]} by the last"
        )


class _Seen:
    """What was asked for and what came, so that pages that lead in a circle are refused.

    Holds 16 bytes and the cursor of each page that was read.
    """

    def __init__(self) -> None:
        self._following: set[str] = set()
        self._pages: set[bytes] = set()
        self._empty = 0

    def refuse_led_back(self, following: str, place: str) -> None:
        if following in self._following:
            raise Permanent(f"{place}: leads back to a page that was read; nothing was written. {_FORM}")
        self._following.add(following)

    def refuse_endless(self, page: Sequence[Row], place: str) -> None:
        self._empty = 0 if page else self._empty + 1
        if self._empty > MOST_EMPTY:
            raise Permanent(
                f"{place}: gave {MOST_EMPTY} pages without a row, one after the other, and what leads to another each "
                "time; nothing was written. Where an empty page is its last, say `end: {empty_page: true}`"
            )
        if not page:
            return
        digest = hashlib.blake2b(json.dumps(page, sort_keys=True).encode("utf-8", "backslashreplace"), digest_size=16)
        if digest.digest() in self._pages:
            raise Permanent(
                f"{place}: gives a page again that it gave before, as one does that does not know the parameter of its "
                f"pages; nothing was written. {_FORM}"
            )
        self._pages.add(digest.digest())


_FORM = "Adapt paging in defs.yaml to how this source has its pages"


def _first(paging: Paging) -> dict[str, str]:
    if paging.kind == "page":
        return {paging.parameter: str(paging.first)}
    return {paging.parameter: "0"} if paging.kind == "offset" else {}


def _following(
    paging: Paging,
    answer: Answer,
    page: Sequence[Row],
    rows: int,
    number: int,
    totals: Sequence[int],
    place: str,
) -> str | None:
    """What the next page is asked for by; None after the last."""
    end = paging.end
    if paging.kind == "none" or (end.empty_page and not page) or (end.short_page and len(page) < paging.size):
        return None
    if end.more and not _more(answer.json, end.more, place):
        return None
    if paging.kind in ("page", "offset"):
        if not page or (totals and rows >= totals[-1]):
            return None
        return str(paging.first + number if paging.kind == "page" else rows)
    following = _named(paging, answer, page, place)
    if following is None and end.more:
        raise Permanent(f"{place}: {end.more} says that there are more, and nothing to ask for them by. {_FORM}")
    if following is None and paging.last_row and page:
        raise Permanent(f"{place}: a row has no {paging.last_row} to ask for the next page by. {_FORM}")
    return following


def _named(paging: Paging, answer: Answer, page: Sequence[Row], place: str) -> str | None:
    """The cursor, link or token that the answer has."""
    if paging.kind == "token":
        return answer.headers.get(paging.next or "") or None
    if paging.last_row:
        return _text(lookup(page[-1], paging.last_row), place) if page else None
    if paging.kind == "link" and not paging.next:
        address = answer.links.get("next", {}).get("url")
        return str(answer.url.join(address)) if address else None
    found = lookup(answer.json, paging.next or "")
    if found is ABSENT and not paging.end.missing:
        raise Permanent(
            f"{place}: the answer has no {paging.next}. Where its absence is how this source ends, say "
            "`end: {missing: true}`; otherwise name its field in defs.yaml"
        )
    text = _text(found, place)
    return str(answer.url.join(text)) if text and paging.kind == "link" else text


def _text(found: Any, place: str) -> str | None:
    if found is ABSENT or found is None or found == "":
        return None
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise Permanent(f"{place}: what should lead to the next page is neither a text nor a whole number. {_FORM}")
    return str(found)


def _more(answer: Any, name: str, place: str) -> bool:
    found = lookup(answer, name)
    if not isinstance(found, bool):
        raise Permanent(f"{place}: {name} is not true or false, by which this source ends. {_FORM}")
    return found


def _total(answer: Any, name: str, place: str) -> int:
    found = lookup(answer, name)
    if isinstance(found, bool) or not isinstance(found, int):
        raise Permanent(f"{place}: {name} is no whole number, which should be that of all rows. {_FORM}")
    return found


def _rows(answer: Any, items: str, place: str) -> list[Row]:
    found = lookup(answer, items) if items else answer
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise Permanent(
            f"{place}: {items or 'the answer'} is no list of objects; nothing was written. Name "
            "the field with the rows as items in defs.yaml"
        )
    return found


def lookup(value: Any, path: str) -> Any:
    """What is at `a.b.c` of JSON; ABSENT where it is not. A field whose own name is the path comes first."""
    if isinstance(value, dict) and path in value:
        return value[path]
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return ABSENT
        value = value[name]
    return value
