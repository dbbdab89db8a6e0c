"""What the server is told: by feature_store.yaml, as Feast reads it, and by the environment."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STOCK = "FEATURE_SERVER_STOCK"
MAX_ENTITIES = 5000


class SettingsError(ValueError):
    """The server cannot start with what it was told; the message says what to set."""


@dataclass(frozen=True)
class RedisAddress:
    """Where the online store is, and how to get in. `tls` has redis-py's names without `ssl_`; empty without TLS."""

    host: str
    port: int
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls: tuple[tuple[str, str], ...] | None = None

    def __str__(self) -> str:
        return f"Redis at {self.host}:{self.port}, database {self.db}"


@dataclass(frozen=True)
class Access:
    """Who may ask. Without any of these, everybody who reaches the port.

    Attributes:
        api_keys: each of them opens; several, so that one can be replaced.
        jwt_key: the secret (HS256) or the public key in PEM (RS256, ES256, EdDSA) that tokens are signed with.
        jwks_url: where an identity provider publishes its keys.
    """

    api_keys: tuple[str, ...] = field(default=(), repr=False)
    jwt_key: str = field(default="", repr=False)
    jwks_url: str = ""
    jwt_issuer: str = ""
    jwt_audience: str = ""

    @property
    def open(self) -> bool:
        return not (self.api_keys or self.jwt_key or self.jwks_url)


@dataclass(frozen=True)
class Settings:
    """A repository's project and stores.

    Attributes:
        registry: a libpq URI, password included; never for a log.
        serve_while_materializing: whether a view is answered for in the middle of a materialization.
        why_stock: why Feast's own server has to answer; empty where ours can.
    """

    repository: Path
    project: str
    redis: RedisAddress
    registry: str = field(repr=False)
    serve_while_materializing: bool
    access: Access
    max_entities: int
    why_stock: str


def read_settings(repository: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of a repository's folder. Raises SettingsError."""
    variables = os.environ if environment is None else environment
    content = _yaml(repository / "feature_store.yaml", variables)
    online, registry = _section(content, "online_store"), _section(content, "registry")
    return Settings(
        repository=repository,
        project=str(content.get("project", "")),
        redis=_redis(str(online.get("connection_string", "localhost:6379"))),
        registry=re.sub(r"^postgresql\+\w+://", "postgresql://", str(registry.get("path", ""))),
        serve_while_materializing=bool(registry.get("serve_features_while_materializing")),
        access=_access(variables),
        max_entities=_number(variables, "FEATURE_SERVER_MAX_ENTITIES", MAX_ENTITIES),
        why_stock=_why_stock(content, online, registry, variables),
    )


def _yaml(file: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    import yaml

    if not file.exists():
        raise SettingsError(f"{file} does not exist: set FEAST_REPO_PATH to the folder that holds it")
    text = "\n".join(line for line in file.read_text().splitlines() if not line.lstrip().startswith("#"))
    if missing := sorted({name for name in re.findall(r"\$\{(\w+)\}", text) if name not in variables}):
        raise SettingsError(f"{file} names {', '.join(missing)}, which the environment lacks: set them and retry")
    return yaml.safe_load(re.sub(r"\$\{(\w+)\}", lambda found: variables[found[1]], text))


def _section(content: dict[str, Any], name: str) -> dict[str, Any]:
    section = content.get(name)
    return section if isinstance(section, dict) else {"type": section, "path": section}


def _redis(text: str) -> RedisAddress:
    """Reads `host:port,db=0,password="...",ssl=true`, whose values are JSON where they can be, as Feast does."""
    nodes = [part for part in text.split(",") if "=" not in part]
    options = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
    given = {name: _plain(value) for name, value in options.items()}
    host, _, port = nodes[0].partition(":")
    tls = tuple((name.removeprefix("ssl_"), value) for name, value in given.items() if name.startswith("ssl_"))
    return RedisAddress(
        host=host,
        port=int(port or 6379),
        db=int(given.get("db") or 0),
        username=given.get("username", ""),
        password=given.get("password", ""),
        tls=tls if given.get("ssl", "").lower() == "true" else None,
    )


def _plain(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _access(variables: Mapping[str, str]) -> Access:
    keys = tuple(key.strip() for key in variables.get("FEATURE_SERVER_API_KEYS", "").split(",") if key.strip())
    access = Access(
        api_keys=keys,
        jwt_key=variables.get("FEATURE_SERVER_JWT_KEY", ""),
        jwks_url=variables.get("FEATURE_SERVER_JWKS_URL", ""),
        jwt_issuer=variables.get("FEATURE_SERVER_JWT_ISSUER", ""),
        jwt_audience=variables.get("FEATURE_SERVER_JWT_AUDIENCE", ""),
    )
    if access.jwks_url and not (access.jwt_issuer and access.jwt_audience):
        raise SettingsError(
            "FEATURE_SERVER_JWKS_URL needs FEATURE_SERVER_JWT_ISSUER and FEATURE_SERVER_JWT_AUDIENCE: a provider signs"
            " tokens for others, too"
        )
    return access


def _number(variables: Mapping[str, str], name: str, default: int) -> int:
    text = variables.get(name) or str(default)
    if not text.isdigit() or int(text) < 1:
        raise SettingsError(f"{name} is {text!r}: set it to a whole number above 0")
    return int(text)


def _why_stock(
    content: dict[str, Any], online: dict[str, Any], registry: dict[str, Any], variables: Mapping[str, str]
) -> str:
    """Stock where it was asked for, and where the stores are others than the ones that are read here."""
    if variables.get(STOCK, "").lower() in {"1", "true", "yes"}:
        return f"{STOCK} is set"
    if online.get("type") != "redis" or online.get("redis_type", "redis") != "redis":
        return f"the online store is {online.get('redis_type') or online.get('type')}, not a single Redis"
    if registry.get("registry_type") != "sql" or not str(registry.get("path")).startswith("postgresql"):
        return "the registry is not in Postgres"
    if content.get("entity_key_serialization_version", 3) != 3:
        return "entity keys are not of version 3"
    if registry.get("enable_online_feature_view_versioning"):
        return "versions of feature views are served"
    return ""
