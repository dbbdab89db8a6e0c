"""Asking a server with patience: what is sent again, after which wait, and what ends it at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx

from terrane.errors import NotYet, Permanent, Temporary

UNKNOWN_KEY = (401, 403)
TOO_MANY = 429
MAX_WAIT_S = 30.0
# What a source may ask for at most: a date far away is a mistake of its, and not the end of ingestion.
LONGEST_S = 86_400.0

Taken = TypeVar("Taken")


class AccessRefused(Permanent):
    """The server does not know the key: no other request of this run would fare better."""


class ComeBackLater(NotYet):
    """The server said when to ask again, which is longer than a run waits.

    Attributes:
        until: that moment.
    """

    def __init__(self, message: str, until: datetime):
        super().__init__(message)
        self.until = until


@dataclass(frozen=True)
class Asking:
    """How one request is asked.

    Attributes:
        server: as messages name it, without a secret.
        attempts: how often it is sent at most.
        backoff_s: the first wait between two; it doubles, up to 30 s.
        sleep: waits; tests pass their own.
    """

    server: str
    attempts: int
    backoff_s: float
    sleep: Callable[[float], None] = time.sleep

    def ask(
        self,
        what: str,
        send: Callable[[], httpx.Response],
        take: Callable[[httpx.Response], Taken],
        refusal: Callable[[httpx.Response], str],
    ) -> Taken:
        """What `take` makes of a good answer; where it raises ValueError the answer is asked for again.

        Raises:
            Temporary: no good answer in all attempts: no connection, too slow, 429 or 5xx.
            ComeBackLater: it said with 429 or 5xx when to ask again, in more than half a minute.
            AccessRefused: it answered 401 or 403.
            Permanent: it answered otherwise that it will not, with the words of `refusal`.
        """
        reason = ""
        for attempt in range(1, self.attempts + 1):
            wait = min(self.backoff_s * 2 ** (attempt - 1), MAX_WAIT_S)
            try:
                answer = send()
                if answer.is_success:
                    return take(answer)
                if not (answer.is_server_error or answer.status_code == TOO_MANY):
                    kind = AccessRefused if answer.status_code in UNKNOWN_KEY else Permanent
                    raise kind(refusal(answer))
                reason = f"{answer.status_code} {message_of_answer(answer)}"
                wait = retry_after(answer.headers.get("Retry-After"), wait)
                if wait > MAX_WAIT_S:
                    raise self._later(what, answer, wait)
            except httpx.TransportError as error:
                reason = f"{type(error).__name__} {error}".strip()
            except ValueError as error:
                reason = str(error)
            if attempt < self.attempts:
                self.sleep(wait)
        raise Temporary(
            f"{self.server} gave no good answer to {what} in {self.attempts} attempts: {reason}. "
            "Nothing of this window was written; see that the API is up and answers in time, then run again"
        )

    def _later(self, what: str, answer: httpx.Response, wait: float) -> ComeBackLater:
        until = datetime.now(UTC) + timedelta(seconds=wait)
        return ComeBackLater(
            f"{self.server} answered {what} with {answer.status_code} and asks to come back at "
            f"{until:%Y-%m-%d %H:%M:%S} UTC; until then it is not asked, and nothing of this window was written",
            until,
        )


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


def message_of_answer(answer: httpx.Response) -> str:
    """What the server says of its error, shortly."""
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200].strip() or answer.reason_phrase
