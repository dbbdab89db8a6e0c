"""One request to the product's API: its key, its time-outs, and when to ask again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from analytics.source.asking import UNKNOWN_KEY, Asking, message_of_answer
from terrane.errors import Permanent

KEY_HEADER = "X-API-Key"


class SourceClient:
    """Asks the API, with patience.

    Args:
        url: as `http://host:port`.
        key: of the API.
        timeout_s: for connecting, and for each piece of an answer.
        attempts: how often one request is sent at most.
        backoff_s: the first wait between two; it doubles, up to 30 s.
        sleep: waits; tests pass their own.
    """

    def __init__(
        self,
        url: str,
        key: str,
        timeout_s: float,
        attempts: int,
        backoff_s: float,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.url = url.rstrip("/")
        self._asking = Asking(f"the API at {self.url}", attempts, backoff_s, sleep)
        self._http = httpx.Client(base_url=self.url, headers={KEY_HEADER: usable_key(key)}, timeout=timeout_s)

    def __enter__(self) -> SourceClient:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def get(self, route: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The answer's JSON object. Raises as `Asking.ask`."""
        return self._asking.ask(
            f"GET {route}",
            lambda: self._http.get(route, params=parameters),
            _object,
            lambda answer: self._refusal(route, answer),
        )

    def _refusal(self, route: str, answer: httpx.Response) -> str:
        said = f"the API at {self.url} refused GET {route} with {answer.status_code}: {message_of_answer(answer)}."
        if answer.status_code in UNKNOWN_KEY:
            return f"{said} Set API_KEY to a key this API knows, restart what read the old one, and run again"
        if answer.status_code == 404:
            return f"{said} See that SOURCE_API_URL is the API's address and names no path, and run again"
        return f"{said} The API and this location disagree; adapt source/window.py or the route in defs.yaml"


def usable_key(key: str, variable: str = "API_KEY") -> str:
    """The key without white space around it. Raises Permanent, without the key, when no header can hold it."""
    stripped = key.strip()
    if not stripped or not (stripped.isascii() and stripped.isprintable()):
        raise Permanent(
            f"{variable} is empty or holds a line's end, a control character or a letter beyond ASCII, which no "
            "request can carry; set it to the key alone and restart what read it"
        )
    return stripped


def parse_json(content: bytes | str) -> Any:
    """The content's value. Raises ValueError for what is no JSON, Permanent for NaN and Infinity, which are none."""
    return json.loads(content, parse_constant=_no_json)


def _no_json(constant: str) -> Any:
    raise Permanent(f"the answer holds {constant}, which is no JSON and no number to count with; mend it at its source")


def _object(answer: httpx.Response) -> dict[str, Any]:
    found = parse_json(answer.content)
    if not isinstance(found, dict):
        raise ValueError(f"the answer is JSON but no object: {answer.text[:80]!r}")
    return found
