"""What assets return, kept in the lake so that the next run reads it on whatever machine that is.

    asset_values/<key>[/partition=<key>]   a dataset of `terrane.publishing`, of which the newest two batches stay

A value is there as a whole or not at all, and who reads while it is replaced reads the one before. Frames of pandas and
polars and tables of Arrow are Parquet, which anything reads; any other value is a pickle of at most 64 MiB.
"""

from terrane.io_manager.manager import LakeIOManager, of_process

__all__ = ["LakeIOManager", "of_process"]
