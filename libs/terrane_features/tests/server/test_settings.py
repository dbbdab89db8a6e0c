"""What feature_store.yaml and the environment say, and what is refused before the server starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from terrane_features.server.settings import SettingsError, read_settings

pytestmark = pytest.mark.unit
YAML = """
project: p
registry:
  registry_type: sql
  # a comment that names ${NOTHING}
  path: postgresql+psycopg://u:${PW}@h:1/d?options=-csearch_path%3Dfeast
  serve_features_while_materializing: true
online_store:
  type: redis
  connection_string: 'r:7,db=3,username=reader,password="${PW}",ssl=true,ssl_ca_certs=/ca.pem,socket_timeout=30'
entity_key_serialization_version: 3
"""
VARIABLES = {"PW": "0123"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "feature_store.yaml").write_text(YAML)
    return tmp_path


def test_stores_are_where_feast_would_find_them(folder: Path) -> None:
    settings = read_settings(folder, VARIABLES)
    store = settings.store
    assert store is not None
    assert (store.kind, store.nodes, store.database) == ("redis", (("r", 7),), 3)
    assert (store.username, store.password, store.tls) == ("reader", "0123", {"ca_certs": "/ca.pem"})
    assert settings.registry == "postgresql://u:0123@h:1/d?options=-csearch_path%3Dfeast"
    assert (settings.project, settings.serve_while_materializing, settings.fallback_reason) == ("p", True, "")


def test_no_password_is_shown(folder: Path) -> None:
    keys = {"FEATURE_SERVER_API_KEYS": "key-one", "FEATURE_SERVER_JWT_KEY": "key-two"}
    shown = repr(read_settings(folder, VARIABLES | keys))
    assert not any(secret in shown for secret in ("0123", "key-one", "key-two"))


def test_a_missing_variable_or_file_is_named(folder: Path) -> None:
    with pytest.raises(SettingsError, match="names PW, which the environment lacks"):
        read_settings(folder, {})
    with pytest.raises(SettingsError, match="set FEAST_REPO_PATH to the folder that holds it"):
        read_settings(folder / "nowhere", {})


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("type: redis", "type: sqlite", "the online store is sqlite"),
        ("_version: 3", "_version: 2", "entity keys are not of version 3"),
    ],
)
def test_what_ours_cannot_read_is_left_to_feasts_own_code(folder: Path, old: str, new: str, why: str) -> None:
    (folder / "feature_store.yaml").write_text(YAML.replace(old, new))
    assert read_settings(folder, VARIABLES).fallback_reason.startswith(why)


def test_a_registry_that_is_not_in_postgres_is_refused_with_what_to_set(folder: Path) -> None:
    (folder / "feature_store.yaml").write_text(YAML.replace("registry_type: sql", "registry_type: file"))
    with pytest.raises(SettingsError, match="set registry_type to sql, and path to a postgresql address"):
        read_settings(folder, VARIABLES)


def test_access_that_would_let_strangers_in_is_refused(folder: Path) -> None:
    with pytest.raises(SettingsError, match="needs FEATURE_SERVER_JWT_ISSUER and FEATURE_SERVER_JWT_AUDIENCE"):
        read_settings(folder, VARIABLES | {"FEATURE_SERVER_JWKS_URL": "https://provider/keys"})
    assert read_settings(folder, VARIABLES).access.open
    keys = read_settings(folder, VARIABLES | {"FEATURE_SERVER_API_KEYS": " a, b ,"}).access
    assert (keys.api_keys, keys.open) == (("a", "b"), False)


@pytest.mark.parametrize("text", ["0", "-1", "many"])
def test_a_limit_that_is_none_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="set it to a whole number above 0"):
        read_settings(folder, VARIABLES | {"FEATURE_SERVER_MAX_ENTITIES": text})
