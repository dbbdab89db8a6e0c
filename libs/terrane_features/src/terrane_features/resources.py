"""The location's resources: a Feast repository with its stores, and a running feature server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from terrane import names
from terrane_features.feast_internals import import_feast_quickly, parse_repository
from terrane_features.online_store.address import StoreAddress, read_address
from terrane_features.repository.model import Repository, RepositoryError
from terrane_features.repository.read import read_repository
from terrane_features.repository.settings import export_optional, read_settings

if TYPE_CHECKING:
    from feast import FeatureStore
    from feast.repo_contents import RepoContents

SERVER_VARIABLE = "FEATURE_SERVER_URL"


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
        """The declarations. Raises RepositoryError, also for a project whose name lacks a variable."""
        repository = read_repository(self.folder)
        if "$" in repository.project:
            raise RepositoryError(
                f"the project {repository.project} names a variable that is not set: set it and retry"
            )
        return repository

    def online_store(self) -> StoreAddress:
        """Where the online store is. Raises RepositoryError."""
        return read_address(self.folder)

    def store(self) -> FeatureStore:
        """A new store; its registry and online store connect at their first use.

        Raises RepositoryError when a variable that feature_store.yaml names is not set.
        """
        read_settings(self.folder)
        export_optional()
        import_feast_quickly()
        from feast import FeatureStore

        names.export()
        return FeatureStore(repo_path=str(self.folder))

    def contents(self) -> RepoContents:
        """What Feast itself reads from the repository's files.

        Call it before `store`: Feast is then imported with its checks of a definition's arguments.
        """
        from feast import Project

        contents = parse_repository(self.folder).contents
        if not contents.projects:
            contents.projects.append(Project(name=self.repository().project))
        return contents


class FeatureServer(dg.ConfigurableResource):
    """A running feature server.

    Attributes:
        url: `http://host:port`; empty where there is none.
    """

    url: str = ""

    @classmethod
    def from_env(cls) -> FeatureServer:
        """The server that `FEATURE_SERVER_URL` names, if it does: a variable nobody has to set."""
        return cls(url=dg.EnvVar(SERVER_VARIABLE)) if os.environ.get(SERVER_VARIABLE) else cls()
