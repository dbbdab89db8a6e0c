"""What is answered to a request that cannot be, in the forms Feast's own server gives its refusals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

# A request's own names may be megabytes long, and a log is not for them.
LONGEST_REASON = 300


class RequestError(Exception):
    """A refusal.

    Attributes:
        status: the HTTP status.
        content: the JSON of the answer.
        reason: for the log: the field and what is wrong, without any value of an entity.
    """

    def __init__(self, status: int, content: Any, reason: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(reason)
        self.status, self.content, self.headers = status, content, headers
        self.reason = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]} ..."


def malformed(location: Sequence[str | int], message: str, kind: str = "value_error") -> RequestError:
    """422 in FastAPI's form: `loc` is the way to the field, from `body`."""
    return RequestError(
        422, {"detail": [{"type": kind, "loc": ["body", *location], "msg": message}]}, _at(location, message)
    )


def unanswerable(message: str) -> RequestError:
    """400: well formed, and nothing that can be answered."""
    return RequestError(400, {"detail": message}, message)


def too_much(message: str) -> RequestError:
    """413: more than the server's configuration allows to be asked for at a time."""
    return RequestError(413, {"detail": message}, message)


def wrong_value(key: str, position: int, message: str) -> RequestError:
    """400 for one entity's value, whose place is named."""
    return RequestError(
        400, {"detail": f"entities.{key}[{position}]: {message}"}, f"entities.{key}[{position}] is refused"
    )


def unknown(kind: str, name: str, project: str) -> RequestError:
    """404 as Feast's errors are sent, which its clients turn into the same exception: a text that holds JSON."""
    words = {"FeatureViewNotFoundException": "Feature view", "FeatureServiceNotFoundException": "Feature service"}
    message = f"{words[kind]} {name} does not exist in project {project}"
    return RequestError(404, json.dumps({"module": "feast.errors", "class": kind, "message": message}), message)


def unavailable(message: str, reason: str = "") -> RequestError:
    """503: the same request may be answered in a moment."""
    return RequestError(503, {"detail": message}, reason or message, [(b"retry-after", b"1")])


def _at(location: Sequence[str | int], message: str) -> str:
    return f"{'.'.join(map(str, location)) or 'body'}: {message}"
