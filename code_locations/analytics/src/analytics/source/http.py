"""Requests to any source over HTTP: its key, its rate, its redirects. A key goes to the source's own host alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from analytics.source.asking import UNKNOWN_KEY, Asking, Taken, message_of_answer
from analytics.source.auth import Credentials
from analytics.source.client import parse_json
from terrane.errors import Permanent

MOST_REDIRECTS = 5


@dataclass(frozen=True)
class Answer:
    """A good answer: where it came from, its headers, and its JSON."""

    url: httpx.URL
    headers: httpx.Headers
    links: Mapping[str | None, Mapping[str, str]]
    json: Any


@dataclass(frozen=True)
class Manners:
    """How a source is asked: see HttpFrom."""

    requests_a_second: float | None = None
    timeout_s: float = 30.0
    attempts: int = 5
    backoff_s: float = 0.5
    sleep: Callable[[float], None] = field(default=time.sleep)


class HttpSource:
    """Asks one source, with patience and at its rate, which is this client's: two runs at once ask twice as fast.

    Attributes:
        url: the source's address as it may be told: without a query, a user and a password.
    """

    def __init__(self, url: str, credentials: Credentials, manners: Manners):
        self._base = httpx.URL(url.rstrip("/"))
        # Of an address in a variable, the query may be a signature, and before the host a password may stand.
        self.url = str(self._base.copy_with(query=None, userinfo=b"", fragment=None)).rstrip("/")
        self.requests = 0
        self._host, self._credentials, self._manners = _origin(self._base), credentials, manners
        self._asking = Asking(f"the source at {self.url}", manners.attempts, manners.backoff_s, manners.sleep)
        self._http = httpx.Client(timeout=manners.timeout_s)
        for name in ("httpx", "httpcore"):
            # They log the address of each request, in which a key may stand.
            logging.getLogger(name).setLevel(logging.WARNING)
        self._next = 0.0

    def __enter__(self) -> HttpSource:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def get(self, address: str, parameters: Mapping[str, str] | None = None) -> Answer:
        """The JSON at a route, or at an address that an answer named. Raises as `Asking.ask`, without a secret."""
        return self._ask(address, parameters, lambda a: Answer(a.url, a.headers, a.links, parse_json(a.content)))

    def get_bytes(self, address: str) -> bytes:
        """The whole content at an address."""
        return self._ask(address, None, lambda answer: answer.content)

    def _ask(
        self, address: str, parameters: Mapping[str, str] | None, take: Callable[[httpx.Response], Taken]
    ) -> Taken:
        url = httpx.URL(address) if "://" in address else self._at(address)
        if _origin(url) != self._host:
            raise Permanent(
                f"the source at {self.url} names a page at {url.scheme}://{url.netloc.decode()}, another host; "
                "it was not asked, since the key is for the first alone. Where it is right, set url in defs.yaml to it"
            )
        what = f"GET {url.path}"
        try:
            return self._asking.ask(
                what, lambda: self._send(url, parameters), take, lambda answer: self._refusal(what, answer)
            )
        except Exception as error:
            error.args = tuple(self._credentials.hide(str(each)) for each in error.args)
            raise

    def _at(self, route: str) -> httpx.URL:
        """The address of a route, with the parameters that the source's own address has."""
        if not route:
            return self._base
        return httpx.URL(f"{self._base.copy_with(query=None)}{route}").copy_merge_params(self._base.params)

    def _send(self, url: httpx.URL, parameters: Mapping[str, str] | None) -> httpx.Response:
        """The answer after redirects, of which those to another host get no key, and neither do those after them."""
        target, ours = url.copy_merge_params(dict(parameters or {})), True
        for _ in range(MOST_REDIRECTS + 1):
            self._wait_for_turn()
            answer = self._http.get(self._with_key(target) if ours else target, headers=self._headers(ours))
            if not answer.has_redirect_location:
                return answer
            target = answer.url.join(answer.headers["Location"])
            ours = ours and _origin(target) == self._host
        raise Permanent(f"the source at {self.url} redirects GET {url.path} more than {MOST_REDIRECTS} times")

    def _with_key(self, target: httpx.URL) -> httpx.URL:
        return target.copy_merge_params(self._credentials.parameters) if self._credentials.parameters else target

    def _headers(self, ours: bool) -> dict[str, str]:
        return self._credentials.headers if ours else {}

    def _wait_for_turn(self) -> None:
        """A redirect is a request too."""
        self.requests += 1
        if not self._manners.requests_a_second:
            return
        now = time.monotonic()
        if now < self._next:
            self._manners.sleep(self._next - now)
        self._next = max(now, self._next) + 1 / self._manners.requests_a_second

    def _refusal(self, what: str, answer: httpx.Response) -> str:
        said = f"the source at {self.url} refused {what} with {answer.status_code}: {message_of_answer(answer)}."
        if answer.status_code in UNKNOWN_KEY:
            named = " and ".join(self._credentials.variables) or "auth in defs.yaml, which names no key,"
            return f"{said} Set {named} to what this source knows, restart what read the old value, and run again"
        return f"{said} Adapt url, route or parameters in defs.yaml, and run again"


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port: a key for an encrypted address does not go to one that is not."""
    return url.scheme, url.host, url.port
