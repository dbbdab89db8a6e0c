"""Who may ask: the holder of an API key, or of a JSON Web Token. Neither is asked for unless configured."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Iterable
from typing import Any

from terrane_features.server.request.errors import RequestError
from terrane_features.server.settings import Access

log = logging.getLogger("terrane_features.server.auth")
LEEWAY_S = 10
KEPT_TOKENS = 10_000
JWKS_TIMEOUT_S = 5
SECRET_ALGORITHMS = ["HS256", "HS384", "HS512"]
PUBLIC_ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "EdDSA"]

Headers = Iterable[tuple[bytes, bytes]]


class Authenticator:
    """Lets a request in, or raises RequestError (401, or 503 while an identity provider's keys cannot be had)."""

    def __init__(self, access: Access) -> None:
        self.open = access.open
        self._access = access
        # Digests, so that how long a look-up takes says nothing about a key.
        self._keys = frozenset(_digest(key.encode()) for key in access.api_keys)
        self._tokens: dict[bytes, float] = {}
        self._provider: Any = None
        if access.jwks_url:
            import jwt

            self._provider = jwt.PyJWKClient(access.jwks_url, timeout=JWKS_TIMEOUT_S)

    async def check(self, headers: Headers) -> None:
        """Raises RequestError unless the headers hold a key or a token that is good."""
        if self.open:
            return
        secret = _secret(headers)
        if not secret:
            raise _refused("send an API key as X-API-Key, or a key or a token as Authorization: Bearer ...")
        digest = _digest(secret)
        if digest in self._keys or self._tokens.get(digest, 0) > time.time():
            return
        if not (self._access.jwt_key or self._provider):
            raise _refused("the API key is not one of this server's")
        expires = await asyncio.get_running_loop().run_in_executor(None, self._verify, secret)
        if len(self._tokens) >= KEPT_TOKENS:
            self._tokens.clear()
        self._tokens[digest] = expires

    def _verify(self, token: bytes) -> float:
        """When the token expires. Raises RequestError."""
        import jwt

        access = self._access
        try:
            key = (
                self._provider.get_signing_key_from_jwt(token.decode("latin-1")).key
                if self._provider
                else access.jwt_key
            )
            claims = jwt.decode(
                token,
                key,
                algorithms=PUBLIC_ALGORITHMS if self._provider or "BEGIN" in access.jwt_key else SECRET_ALGORITHMS,
                audience=access.jwt_audience or None,
                issuer=access.jwt_issuer or None,
                leeway=LEEWAY_S,
                options={"require": ["exp"], "verify_aud": bool(access.jwt_audience)},
            )
        except jwt.PyJWKClientConnectionError as error:
            log.warning("the identity provider's keys cannot be had: %s", error)
            raise RequestError(
                503, {"detail": "the identity provider does not answer; retry in a moment"}, "no signing keys"
            ) from error
        except jwt.PyJWTError as error:
            raise _refused(f"the token is refused: {error}") from error
        return float(claims["exp"])


def _secret(headers: Headers) -> bytes:
    found = b""
    for name, value in headers:
        if name == b"x-api-key":
            return value
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            found = value[7:].strip()
    return found


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _refused(message: str) -> RequestError:
    return RequestError(401, {"detail": message}, message, [(b"www-authenticate", b"Bearer")])
