"""The IO manager of every location: values of assets in the lake, those between steps where Dagster has them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import dagster as dg

from terrane.io_manager import formats
from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.publishing import Retention, collect, download, newest_commit, prune, publish

if TYPE_CHECKING:
    from terrane.object_store import Bucket
    from terrane.publishing import Commit

FOLDER = "asset_values"
# A reader that began before the newest was written has the one before for as long as its run takes.
KEPT = Retention(batches=2)


class LakeIOManager(dg.ConfigurableIOManager):
    """Keeps what assets return in the lake, a dataset an asset or partition; what returns nothing keeps nothing."""

    object_store: ObjectStoreResource

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        if not context.has_asset_key:
            return self._of_steps(context).handle_output(context, obj)
        if obj is None:
            return None
        lake = self.object_store.bucket(DATA_LAKE)
        attempt = context.step_context.previous_attempt_count if context.step_context else 0
        metadata: dict[str, Any] = {}
        for partition, value in _by_partition(context, obj).items():
            name = dataset(context.asset_key, partition)
            with tempfile.TemporaryDirectory(prefix="terrane-value-") as folder:
                file, summary = formats.write(value, Path(folder))
                batch = f"{context.run_id}-{attempt}"
                commit = publish(lake, name, batch, context.run_id, {file.name: file}, summary)
            prune(lake, name, KEPT)
            collect(lake, name)
            metadata |= {"object": commit.object(file.name).key, "bytes": commit.object(file.name).size}
            metadata |= {"dagster/row_count": summary["rows"]} if "rows" in summary else {}
        context.add_output_metadata(metadata)
        return None

    def load_input(self, context: dg.InputContext) -> Any:
        if not context.has_asset_key:
            return self._of_steps(context).load_input(context)
        lake = self.object_store.bucket(DATA_LAKE)
        wanted = context.dagster_type.typing_type
        if not context.has_asset_partitions:
            return _read(lake, context.asset_key, None, wanted)
        keys = context.asset_partition_keys
        if len(keys) == 1:
            return _read(lake, context.asset_key, keys[0], wanted)
        return {key: _read(lake, context.asset_key, key, wanted) for key in keys}

    def _of_steps(self, context: dg.OutputContext | dg.InputContext) -> dg.IOManager:
        """Dagster's own, for what steps of one run hand to each other."""
        assert context.step_context
        folder = context.step_context.instance.storage_directory()
        return dg.FilesystemIOManager(base_dir=folder).create_io_manager(None)  # pyright: ignore[reportArgumentType]


class _OfProcess(dg.IOManager):
    """As LakeIOManager, on the store that the environment names once a value is to be kept or read, and not before."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        if context.has_asset_key and obj is None:
            return
        _manager(context).handle_output(context, obj)

    def load_input(self, context: dg.InputContext) -> Any:
        return _manager(context).load_input(context)


def of_process() -> dg.IOManagerDefinition:
    """For a location that may have no store: a run asks for none as long as no asset of it returns or takes a value."""
    return dg.IOManagerDefinition.hardcoded_io_manager(_OfProcess())


def _manager(context: dg.OutputContext | dg.InputContext) -> LakeIOManager:
    store = ObjectStoreResource.from_process() if context.has_asset_key else ObjectStoreResource(endpoint="")
    return LakeIOManager(object_store=store)


def dataset(key: dg.AssetKey, partition: str | None) -> str:
    """The dataset of that asset or partition: a folder for the key and one for the partition, whatever is in them."""
    folder = f"{FOLDER}/{'.'.join(map(_folder, key.path))}"
    return folder if partition is None else f"{folder}/partition={_folder(partition)}"


def _folder(name: str) -> str:
    return quote(name, safe="").replace(".", "%2E")


def _by_partition(context: dg.OutputContext, obj: Any) -> Mapping[str | None, Any]:
    """The value of each partition: of a run over several the asset returns a dictionary of them."""
    if not context.has_asset_partitions:
        return {None: obj}
    keys = context.asset_partition_keys
    if len(keys) == 1:
        return {keys[0]: obj}
    if not isinstance(obj, Mapping) or set(obj) != set(keys):
        raise dg.Failure(
            f"a run over {len(keys)} partitions returns a dictionary with a value for each of them, as "
            f"{{{keys[0]!r}: ...}}; {context.asset_key.to_user_string()} returned a {type(obj).__name__}",
            allow_retries=False,
        )
    return obj


def _read(lake: Bucket, key: dg.AssetKey, partition: str | None, wanted: Any) -> Any:
    name = dataset(key, partition)
    commit = newest_commit(lake, name)
    if commit is None:
        of = f"{key.to_user_string()}{f' of {partition}' if partition else ''}"
        raise dg.Failure(
            f"there is no value of {of} in the lake: it returned nothing, or was made before it was kept there. "
            f"Materialise {of} again, then this",
            allow_retries=False,
        )
    return _value(lake, commit, wanted)


def _value(lake: Bucket, commit: Commit, wanted: Any) -> Any:
    (published,) = commit.objects
    with tempfile.TemporaryDirectory(prefix="terrane-value-") as folder:
        file = download(lake, published, Path(folder, published.name))
        return formats.read(file, str(commit.summary["library"]), wanted)
