"""The server's settings, from feature_store.yaml and the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terrane_features.online_store.address import KINDS, StoreAddress, address_of
from terrane_features.repository.model import RepositoryError
from terrane_features.repository.settings import read_settings as read_feature_store
from terrane_features.repository.settings import section

MAX_ENTITIES = 5000
MAX_VALUES = 500_000
MAX_BODY_BYTES = 8 << 20


class SettingsError(ValueError):
    """The server cannot start with these settings; the message says what to set."""


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
        store: the online store; None where it is no Redis.
        fallback_reason: why Feast's own code has to answer every question; empty where ours can.
    """

    repository: Path
    project: str
    store: StoreAddress | None
    registry: str = field(repr=False)
    serve_while_materializing: bool
    access: Access
    max_entities: int
    max_values: int
    max_body_bytes: int
    fallback_reason: str


def read_settings(repository: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of a repository's folder. Raises SettingsError."""
    variables = os.environ if environment is None else environment
    try:
        content = read_feature_store(repository, variables)
    except RepositoryError as error:
        raise SettingsError(str(error)) from error
    online, registry = section(content, "online_store"), section(content, "registry")
    if registry.get("registry_type") != "sql" or not str(registry.get("path")).startswith("postgresql"):
        raise SettingsError(
            f"{repository / 'feature_store.yaml'} keeps the registry elsewhere: set registry_type to sql, and path to a"
            " postgresql address"
        )
    is_redis = online.get("type") == "redis" and online.get("redis_type", "redis") in KINDS
    return Settings(
        repository=repository,
        project=str(content.get("project", "")),
        store=address_of(online) if is_redis else None,
        registry=re.sub(r"^postgresql\+\w+://", "postgresql://", str(registry.get("path", ""))),
        serve_while_materializing=bool(registry.get("serve_features_while_materializing")),
        access=_access(variables),
        max_entities=_number(variables, "FEATURE_SERVER_MAX_ENTITIES", MAX_ENTITIES),
        max_values=_number(variables, "FEATURE_SERVER_MAX_VALUES", MAX_VALUES),
        max_body_bytes=_number(variables, "FEATURE_SERVER_MAX_BODY_BYTES", MAX_BODY_BYTES),
        fallback_reason=_fallback_reason(content, online, registry, is_redis),
    )


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


def _fallback_reason(content: dict[str, Any], online: dict[str, Any], registry: dict[str, Any], is_redis: bool) -> str:
    if not is_redis:
        return f"the online store is {online.get('redis_type') or online.get('type')}, not Redis"
    if content.get("entity_key_serialization_version", 3) != 3:
        return "entity keys are not of version 3"
    if registry.get("enable_online_feature_view_versioning"):
        return "versions of feature views are served"
    return ""
