"""All rows of a window of time, page by page, none skipped and none twice.

The API's cursor is a key, (time, id), so a page follows from where the last one ended. What the API says is still
checked: every row is inside the window and after the row before it, and the rows are as many as both the first and the
last page say the window has. Anything else means that the window changed while it was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from analytics.source.client import SourceClient
from analytics.warehouse.values import NotOfType, parse_time
from terrane.errors import Permanent

PAGE_ROWS = 5000

Row = dict[str, Any]
Key = tuple[datetime, int, int]


class WindowChanged(Exception):
    """The pages do not fit together; what was read of the window is worth nothing."""


@dataclass(frozen=True)
class Window:
    """Rows of `route` with start <= their `time_column` < end."""

    route: str
    time_column: str
    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{self.route} from {self.start.isoformat()} to {self.end.isoformat()}"


def read_window(client: SourceClient, window: Window, page_rows: int = PAGE_ROWS) -> Iterator[list[Row]]:
    """The window's rows in order, a list a page.

    Raises:
        WindowChanged: while reading or after the last page.
        Temporary, Permanent: as the client does, and Permanent when an answer is not of the API's form.
    """
    asked = {"from": window.start.isoformat(), "to": window.end.isoformat(), "limit": str(page_rows)}
    key, rows, first_total, cursor = None, 0, None, None
    cursors: set[str] = set()
    while True:
        items, cursor_after, total = _page(
            client.get(window.route, asked | ({"cursor": cursor} if cursor else {})), window
        )
        first_total = total if first_total is None else first_total
        for item in items:
            key = _next_key(window, item, key)
        rows += len(items)
        if rows > first_total:
            raise WindowChanged(f"{window}: {rows} rows after a page of {len(items)}, and {first_total} were announced")
        if cursor_after in cursors:
            raise WindowChanged(f"{window}: the API leads back to a page that was read")
        yield items
        if cursor_after is None:
            break
        cursor = cursor_after
        cursors.add(cursor)
    if not rows == first_total == total:
        raise WindowChanged(
            f"{window}: {rows} rows read, {first_total} announced by the first page, {total} by the last"
        )


def _page(answer: Row, window: Window) -> tuple[list[Row], str | None, int]:
    try:
        items, cursor, total = answer["items"], answer["next_cursor"], answer["window_total"]
    except KeyError as error:
        raise Permanent(
            f"{window}: the answer has no {error}; the API's form has changed, adapt source/window.py"
        ) from None
    if not isinstance(total, int) or isinstance(total, bool):
        raise Permanent(
            f"{window}: window_total is no whole number; the API's form has changed, adapt source/window.py"
        )
    if items is None and total == 0:
        items = []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Permanent(f"{window}: items is no list of objects; the API's form has changed, adapt source/window.py")
    return items, cursor, total


def _next_key(window: Window, item: Row, before: Key | None) -> Key:
    """The row's time, what it has beyond microseconds, and its id."""
    try:
        moment, beyond = parse_time(item[window.time_column])
        key = moment, beyond, int(item["id"])
    except NotOfType as error:
        raise Permanent(
            f"{window}: {window.time_column} of row {item.get('id')} {error}; mend it at its source, then run again"
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise Permanent(
            f"{window}: a row has no {window.time_column} or id that can be read ({type(error).__name__}); the API's "
            "form has changed, adapt the table's defs.yaml"
        ) from None
    if not window.start <= key[0] < window.end:
        raise WindowChanged(f"{window}: row {key[2]} of {key[0].isoformat()} is outside")
    if before is not None and key <= before:
        raise WindowChanged(
            f"{window}: row {key[2]} of {key[0].isoformat()} follows row {before[2]} of {before[0].isoformat()}"
        )
    return key
