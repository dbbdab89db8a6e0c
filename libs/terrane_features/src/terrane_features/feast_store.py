"""Feast as a resource: the store of a repository, opened when it is first asked for."""

from __future__ import annotations

import importlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from terrane_features.fast_import import import_feast_quickly
from terrane_features.repository import Repository, RepositoryError, read_repository

if TYPE_CHECKING:
    from feast import FeatureStore
    from feast.repo_contents import RepoContents

_importing = threading.Lock()


class FeastResource(dg.ConfigurableResource):
    """Opens the Feature Store of a repository. Feast is imported by `store` and `contents`, and by nothing else here.

    What feature_store.yaml names as `${...}` comes from the environment of the process.

    Attributes:
        repo_path: the folder that holds feature_store.yaml.
    """

    repo_path: str

    @property
    def folder(self) -> Path:
        return Path(self.repo_path).resolve()

    def repository(self) -> Repository:
        """The declarations, without Feast. Raises RepositoryError."""
        return read_repository(self.folder)

    def store(self) -> FeatureStore:
        """A new store; its registry and online store connect at their first use.

        Raises RepositoryError when a variable that feature_store.yaml names is not set.
        """
        check_environment(self.folder / "feature_store.yaml")
        import_feast_quickly()
        from feast import FeatureStore

        return FeatureStore(repo_path=str(self.folder))

    def contents(self) -> RepoContents:
        """What Feast itself reads from the repository's files.

        Call it before `store`: Feast is then imported with its checks of a definition's arguments.
        """
        from feast import Project
        from feast.repo_operations import parse_repo

        with _inside(self.folder):
            contents = parse_repo(self.folder)
        if not contents.projects:
            contents.projects.append(Project(name=self.repository().project))
        return contents


def online_client(store: FeatureStore) -> Any:
    """The client Feast itself uses for its online store: of one Redis or a cluster, with user, password and TLS."""
    online: Any = store._get_provider().online_store  # pyright: ignore[reportAttributeAccessIssue]
    return online._get_client(store.config.online_store)


def check_environment(settings: Path) -> None:
    """Raises RepositoryError, with all their names, when variables that the file names are not set."""
    if not settings.exists():
        raise RepositoryError(f"{settings} does not exist: set FEAST_REPO_PATH to the folder that holds it")
    lines = (line for line in settings.read_text().splitlines() if not line.lstrip().startswith("#"))
    names = re.findall(r"\$\{(\w+)\}", "\n".join(lines))
    if missing := sorted({name for name in names if name not in os.environ}):
        raise RepositoryError(f"{settings} names {', '.join(missing)}, which the environment lacks: set them and retry")


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Feast imports a repository's files as modules of the working directory. Afterwards they are forgotten, so that
    the next call reads them again and another repository may use the same names."""
    with _importing:
        before, was_silent = Path.cwd(), sys.dont_write_bytecode
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True
        os.chdir(folder)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            os.chdir(before)
            sys.dont_write_bytecode = was_silent
            sys.path.remove(str(folder))
            for name, module in list(sys.modules.items()):
                if str(getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}"):
                    del sys.modules[name]
