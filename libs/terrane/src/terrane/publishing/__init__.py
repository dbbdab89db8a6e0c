"""Publishing into the lake: all of a batch becomes visible at once, once, or not at all.

    <dataset>/_attempts/<token>-<batch_id>.json   an attempt that is under way, or that died
    <dataset>/<batch_id>/<token>/<name>           data objects, written once and never again
    <dataset>/_commits/<batch_id>.json            written only if absent: makes an attempt's objects the batch
    <dataset>/_newest.json                        names the newest batch by its data's time; replaced, and made anew
                                                  of the commits when it is lost

An attempt that dies before its commit leaves objects that no reader sees and that `collect` removes; of attempts that
race for one batch, one wins. Publishing a batch and finding the newest cost the same however many there are.
"""

from terrane.publishing.commits import (
    COMMIT_VERSION,
    Commit,
    CommitTooNew,
    CommitUnreadable,
    PublishedObject,
    commit_key,
    list_commits,
    read_commit,
    read_commits,
)
from terrane.publishing.newest import newest_commit, rebuild_newest
from terrane.publishing.objects import CommitsAreOverwritten, Content, download, probe_put_if_absent
from terrane.publishing.publisher import AlreadyPublished, AttemptTooOld, publish
from terrane.publishing.retention import Collected, Retention, collect, prune
from terrane.publishing.rewriting import list_datasets, rewrite

__all__ = [
    "COMMIT_VERSION",
    "AlreadyPublished",
    "AttemptTooOld",
    "Collected",
    "Commit",
    "CommitTooNew",
    "CommitUnreadable",
    "CommitsAreOverwritten",
    "Content",
    "PublishedObject",
    "Retention",
    "collect",
    "commit_key",
    "download",
    "list_commits",
    "list_datasets",
    "newest_commit",
    "probe_put_if_absent",
    "prune",
    "publish",
    "read_commit",
    "read_commits",
    "rebuild_newest",
    "rewrite",
]
