"""Three assets that hand frames on, as a location has them: a table of Arrow, a frame of pandas made of it, a sum."""

import os

import dagster as dg
import pandas as pd
import pyarrow as pa

from terrane.io_manager import LakeIOManager
from terrane.object_store import ObjectStoreResource


@dg.asset
def table() -> pa.Table:
    return pa.table({"n": [1, 2, 3], "text": ["a", None, "c"]})


@dg.asset
def frame(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(double=table["n"] * 2).set_index("text")


@dg.asset
def total(frame: pd.DataFrame) -> int:
    assert list(frame.index) == ["a", None, "c"]
    return int(frame["double"].sum())


defs = dg.Definitions(
    assets=[table, frame, total],
    resources={"io_manager": LakeIOManager(object_store=ObjectStoreResource(endpoint=os.environ["ENDPOINT"]))},
)
