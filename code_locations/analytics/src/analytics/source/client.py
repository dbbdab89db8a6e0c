"""One request to the product's API: its key, its time-outs, and when to ask again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from terrane.errors import NotYet, Permanent, Temporary

KEY_HEADER = "X-API-Key"
UNKNOWN_KEY = (401, 403)
TOO_MANY = 429
MAX_WAIT_S = 30.0
# What a source may ask for at most: a date far away is a mistake of its, and not the end of ingestion.
LONGEST_S = 86_400.0


class AccessRefused(Permanent):
    """The API does not know the key: no other request of this run would fare better."""


class ComeBackLater(NotYet):
    """The API said when to ask again, which is longer than a run waits.

    Attributes:
        until: that moment.
    """

    def __init__(self, message: str, until: datetime):
        super().__init__(message)
        self.until = until


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
        self._attempts, self._backoff_s, self._sleep = attempts, backoff_s, sleep
        self._http = httpx.Client(base_url=self.url, headers={KEY_HEADER: usable_key(key)}, timeout=timeout_s)

    def __enter__(self) -> SourceClient:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def get(self, route: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The answer's JSON object.

        Raises:
            Temporary: no good answer in all attempts: no connection, too slow, 429 or 5xx.
            ComeBackLater: it said with 429 or 5xx when to ask again, in more than half a minute.
            AccessRefused: it answered 401 or 403.
            Permanent: it answered otherwise that it will not: 400, 404 and their like.
        """
        reason = ""
        for attempt in range(1, self._attempts + 1):
            wait = min(self._backoff_s * 2 ** (attempt - 1), MAX_WAIT_S)
            try:
                answer = self._http.get(route, params=parameters)
                if answer.is_success:
                    return _object(answer)
                if not (answer.is_server_error or answer.status_code == TOO_MANY):
                    kind = AccessRefused if answer.status_code in UNKNOWN_KEY else Permanent
                    raise kind(self._refusal(route, answer))
                reason = f"{answer.status_code} {_message(answer)}"
                wait = retry_after(answer.headers.get("Retry-After"), wait)
                if wait > MAX_WAIT_S:
                    raise self._later(route, answer, wait)
            except httpx.TransportError as error:
                reason = f"{type(error).__name__} {error}".strip()
            except ValueError as error:
                reason = str(error)
            if attempt < self._attempts:
                self._sleep(wait)
        raise Temporary(
            f"the API at {self.url} gave no good answer to GET {route} in {self._attempts} attempts: {reason}. "
            "Nothing of this window was written; see that the API is up and answers in time, then run again"
        )

    def _later(self, route: str, answer: httpx.Response, wait: float) -> ComeBackLater:
        until = datetime.now(UTC) + timedelta(seconds=wait)
        return ComeBackLater(
            f"the API at {self.url} answered GET {route} with {answer.status_code} and asks to come back at "
            f"{until:%Y-%m-%d %H:%M:%S} UTC; until then it is not asked, and nothing of this window was written",
            until,
        )

    def _refusal(self, route: str, answer: httpx.Response) -> str:
        said = f"the API at {self.url} refused GET {route} with {answer.status_code}: {_message(answer)}."
        if answer.status_code in UNKNOWN_KEY:
            return f"{said} Set API_KEY to a key this API knows, restart what read the old one, and run again"
        if answer.status_code == 404:
            return f"{said} See that SOURCE_API_URL is the API's address and names no path, and run again"
        return f"{said} The API and this location disagree; adapt source/window.py or the route in defs.yaml"


def retry_after(header: str | None, otherwise: float) -> float:
    """The seconds that a Retry-After header asks for, as a number or as a date, up to a day."""
    if not header:
        return otherwise
    if header.strip().isdigit():
        return min(float(header), LONGEST_S)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return otherwise
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_S)


def usable_key(key: str) -> str:
    """The key without white space around it. Raises Permanent, without the key, when no header can hold it."""
    stripped = key.strip()
    if not stripped or not (stripped.isascii() and stripped.isprintable()):
        raise Permanent(
            "API_KEY is empty or holds a line's end, a control character or a letter beyond ASCII, which no request "
            "can carry; set it to the key alone and restart what read it"
        )
    return stripped


def _no_json(constant: str) -> Any:
    raise Permanent(f"the answer holds {constant}, which is no JSON and no number to count with; mend it at its source")


def _object(answer: httpx.Response) -> dict[str, Any]:
    found = json.loads(answer.content, parse_constant=_no_json)
    if not isinstance(found, dict):
        raise ValueError(f"the answer is JSON but no object: {answer.text[:80]!r}")
    return found


def _message(answer: httpx.Response) -> str:
    """What the API says of its error, shortly."""
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200].strip() or answer.reason_phrase
