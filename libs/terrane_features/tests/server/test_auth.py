"""API keys and JSON Web Tokens: who is let in, and who is told why not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from serving import running, until

from terrane_features.server.settings import Access

pytestmark = pytest.mark.integration
QUESTION = {"features": ["world:total"], "entities": {"a": [1]}}
SECRET = "a secret of more than thirty-two bytes"
"""The tests' own."""


@pytest.fixture(scope="module")
def key_pair() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def provider(key_pair: rsa.RSAPrivateKey) -> Iterator[str]:
    """An identity provider's address of keys."""
    public = json.loads(RSAAlgorithm.to_jwk(key_pair.public_key()))
    keys = json.dumps({"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]}).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(keys)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Keys)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/keys"
    server.shutdown()
    server.server_close()


def status(client: httpx.Client, **headers: str) -> int:
    return client.post("/get-online-features", json=QUESTION, headers=headers).status_code


def token(key: Any, algorithm: str = "HS256", **claims: Any) -> str:
    given = {"sub": "analyzer", "exp": int(time.time()) + 60, **claims}
    return f"Bearer {jwt.encode(given, key, algorithm=algorithm, headers={'kid': 'one'})}"


def test_a_key_opens_as_either_header_and_nothing_else_does(served) -> None:
    with running(served.app(Access(api_keys=("first-key", "second-key")))) as client:
        until(lambda: client.get("/ready").status_code == 200)
        assert status(client, **{"x-api-key": "first-key"}) == 200
        assert status(client, authorization="Bearer second-key") == 200
        assert status(client, authorization="bearer second-key") == 200
        refused = client.post("/get-online-features", json=QUESTION)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert refused.json()["detail"].startswith("send an API key as X-API-Key")
        for headers in ({"x-api-key": "other"}, {"x-api-key": ""}, {"authorization": "Basic first-key"}):
            assert status(client, **headers) == 401
        assert client.get("/health").status_code == 200
        assert "securitySchemes" in client.get("/openapi.json").json()["components"]


def test_a_token_signed_with_the_secret_opens_until_it_expires(served) -> None:
    with running(served.app(Access(jwt_key=SECRET, jwt_audience="features"))) as client:
        until(lambda: client.get("/ready").status_code == 200)
        good = token(SECRET, aud="features")
        assert [status(client, authorization=good) for _ in range(2)] == [200, 200]
        for bad, reason in [
            (token(SECRET, aud="others"), "Audience doesn't match"),
            (token(SECRET), 'missing the "aud" claim'),
            (token("another secret of thirty-two bytes or more", aud="features"), "Signature verification failed"),
            (token(SECRET, aud="features", exp=int(time.time()) - 60), "Signature has expired"),
            (f"Bearer {jwt.encode({'aud': 'features'}, SECRET)}", 'missing the "exp" claim'),
            ("Bearer nonsense", "Not enough segments"),
        ]:
            answer = client.post("/get-online-features", json=QUESTION, headers={"authorization": bad})
            assert (answer.status_code, reason in answer.json()["detail"]) == (401, True), answer.text


def test_a_public_key_is_never_taken_for_a_shared_secret(served, key_pair: rsa.RSAPrivateKey) -> None:
    pem = key_pair.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with running(served.app(Access(jwt_key=pem.decode()))) as client:
        until(lambda: client.get("/ready").status_code == 200)
        assert status(client, authorization=token(key_pair, "RS256")) == 200
        import hashlib
        import hmac
        from base64 import urlsafe_b64encode

        def part(content: bytes) -> bytes:
            return urlsafe_b64encode(content).rstrip(b"=")

        signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(b'{"exp":9999999999}')
        forged = signed + b"." + part(hmac.new(pem, signed, hashlib.sha256).digest())
        assert status(client, authorization=f"Bearer {forged.decode()}") == 401


def test_a_providers_keys_are_fetched_and_its_tokens_open(served, provider: str, key_pair: rsa.RSAPrivateKey) -> None:
    access = Access(jwks_url=provider, jwt_issuer="https://issuer", jwt_audience="features")
    with running(served.app(access)) as client:
        until(lambda: client.get("/ready").status_code == 200)
        claims = {"aud": "features", "iss": "https://issuer"}
        assert status(client, authorization=token(key_pair, "RS256", **claims)) == 200
        assert status(client, authorization=token(key_pair, "RS256", **claims | {"iss": "https://other"})) == 401
        stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        assert status(client, authorization=token(stranger, "RS256", **claims)) == 401


def test_a_provider_that_is_away_is_no_fault_of_the_token(served, key_pair: rsa.RSAPrivateKey) -> None:
    access = Access(jwks_url="http://127.0.0.1:1/keys", jwt_issuer="https://issuer", jwt_audience="features")
    with running(served.app(access)) as client:
        until(lambda: client.get("/ready").status_code == 200)
        assert status(client, authorization=token(key_pair, "RS256", aud="features", iss="https://issuer")) == 503
