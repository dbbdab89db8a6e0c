"""What an apply would change, and what of it is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feast import FeatureStore
    from feast.diff.property_diff import PropertyDiff
    from feast.diff.registry_diff import RegistryDiff
    from feast.repo_contents import RepoContents


LONGEST_DESCRIPTION = 60


class DeletionRefused(RuntimeError):
    """An apply would delete definitions, and nobody allowed it."""


@dataclass(frozen=True)
class Change:
    """One definition that an apply creates, updates or deletes.

    Attributes:
        kind: Feast's word, as `feature view`.
        properties: what an update changes, as `features -avg_mood +mood` or `ttl (seconds: 60 -> seconds: 90)`.
    """

    action: str
    kind: str
    name: str
    properties: tuple[str, ...] = ()

    def __str__(self) -> str:
        details = f" ({', '.join(self.properties)})" if self.properties else ""
        return f"{self.action} {self.kind} {self.name}{details}"


def plan(store: FeatureStore, contents: RepoContents) -> list[Change]:
    """What an apply of the contents would change. Writes nothing but Feast's own empty tables."""
    diff, _, _ = store.plan(contents)
    return changes_of(diff)


def changes_of(diff: RegistryDiff) -> list[Change]:
    """A diff's changes, without what stays as it is."""
    actions = {"CREATE": "create", "UPDATE": "update", "DELETE": "delete"}
    changes = []
    for found in diff.feast_object_diffs:
        action = actions.get(found.transition_type.name)
        properties = sorted({_description(p) for p in found.feast_object_property_diffs if _really_differs(p)})
        if action and not found.name.startswith("__") and (properties or action != "update"):
            changes.append(Change(action, found.feast_object_type.value, found.name, tuple(properties)))
    return sorted(changes, key=str)


def _really_differs(difference: PropertyDiff) -> bool:
    """Whether more differs than when the records were made, which Feast counts as a difference of sources."""
    return _without_times(difference.val_existing) != _without_times(difference.val_declared)


def _description(difference: PropertyDiff) -> str:
    """The property, and what of it changes where that is short."""
    before, after = difference.val_existing, difference.val_declared
    old, new = _by_name(before), _by_name(after)
    if old or new:
        changes = [f"-{name}" for name in old if name not in new]
        changes += [f"+{name}" for name in new if name not in old]
        changes += [f"~{name}" for name in new if name in old and old[name] != new[name]]
        return " ".join([difference.property_name, *changes])
    described = [" ".join(str(value).split()) or "none" for value in (before, after)]
    return (
        f"{difference.property_name} ({' -> '.join(described)})"
        if max(map(len, described)) < LONGEST_DESCRIPTION
        else (difference.property_name)
    )


def _by_name(value: Any) -> dict[str, Any]:
    """The messages of a repeated field by their names; empty for anything else."""
    try:
        return {item.name: item for item in value}
    except (AttributeError, TypeError):
        return {}


def _without_times(value: Any) -> Any:
    from google.protobuf.message import Message

    if not isinstance(value, Message) or "meta" not in value.DESCRIPTOR.fields_by_name:
        return value
    copy = type(value)()
    copy.CopyFrom(value)
    copy.ClearField("meta")
    return copy


def refuse_deletions(changes: list[Change]) -> None:
    """Raises DeletionRefused, which names what would go, when a change deletes a definition."""
    gone = [f"{change.kind} {change.name}" for change in changes if change.action == "delete"]
    if gone:
        raise DeletionRefused(
            f"Nothing was applied: the repository no longer declares {', '.join(gone)}, and an apply would delete them"
            " and their values in Redis. Restore the definitions, or run feast/registry with the config"
            " allow_deletions: true."
        )
