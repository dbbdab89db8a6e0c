"""What is wrong with a history, from what was made and nothing else; the rules are those of docs/automation.md."""

from __future__ import annotations

from terrane_dev.simulation.histories import READS, Made


def judge(made: list[Made]) -> dict[str, list[str]]:
    """Updates that were lost, and what unproved content was read for.

    At the end each asset holds what its inputs hold, unless an input's newest content failed its checks: then it holds
    nothing of that. A part of which some input is not there is not asked for.
    """
    newest = {each.name: each for each in made}
    lost, unproved = [], []
    for name in newest.keys() | {_as(source, name) for name in READS for source in newest if _reads(name, source)}:
        inputs = {source: newest[source] for source in newest if _reads(name, source)}
        missing = [read for read in READS.get(name.split("@")[0], []) if not _any(read, newest)]
        if not inputs or missing or not all(each.good for each in inputs.values()):
            continue
        holds = newest[name].read if name in newest else {}
        lost += [f"{name} lacks {each.content}" for source, each in inputs.items() if holds.get(source) != each.content]
    bad = {each.content for each in made if not each.good}
    unproved = [f"{each.name} of {content}" for each in made for content in each.read.values() if content in bad]
    return {"lost": lost, "unproved": unproved}


def beyond(made: list[Made]) -> tuple[int, int]:
    """How many builds read nothing new, and how many there were with something new."""
    last: dict[str, dict[str, str]] = {}
    again = 0
    built = [each for each in made if each.read]
    for each in built:
        again += last.get(each.name) == each.read
        last[each.name] = each.read
    return again, len(built) - again


def _as(source: str, name: str) -> str:
    return f"{name}@{source.split('@')[1]}" if name == "per_day" else name


def _reads(name: str, source: str) -> bool:
    base, _, part = name.partition("@")
    return source.split("@")[0] in READS.get(base, []) and (not part or source.endswith(part))


def _any(read: str, newest: dict[str, Made]) -> bool:
    return any(source.split("@")[0] == read for source in newest)
