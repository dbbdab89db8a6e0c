"""A day of the product's data, from nothing but the day's index since the first day.

What a day holds never depends on the clock, on other days having been asked for, or on the order they were asked in, so
the counts over any number of complete days are constants. Times are milliseconds since the day began.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from source_api.catalogue import GAME_TYPES, LANGUAGES, PLANS

DAY_MS = 86_400_000
WEEK = 7
NEW_USERS = (74, 76, 78, 80, 82, 88, 82)
CHANGED_USERS = (36, 38, 40, 40, 42, 44, 40)
NEW_ENTRIES = (3800, 3850, 3900, 4000, 4100, 4250, 4100)
SLUGS = tuple(str(game["slug"]) for game in GAME_TYPES)


@dataclass(frozen=True)
class UserVersion:
    """A user as of one change: signing up, or a change of the profile."""

    at_ms: int
    id: int
    signed_up_day: int
    signed_up_ms: int
    name: str
    language: str
    plan: str


@dataclass(frozen=True)
class JournalEntry:
    """One entry. `place` and `mood` are what the user typed, and may be None."""

    at_ms: int
    id: int
    user_id: int
    game_type: str
    place: str | None
    mood: int | None
    words: int
    minutes: float


def users_before(day: int) -> int:
    """How many users signed up on the days before; their ids are 1 to this number."""
    return _sum_before(NEW_USERS, day)


def user_versions_of(day: int) -> int:
    """How many versions of users the whole day makes."""
    return NEW_USERS[day % WEEK] + (CHANGED_USERS[day % WEEK] if day else 0)


def entries_before(day: int) -> int:
    """How many entries were written on the days before; their ids are 1 to this number."""
    return _sum_before(NEW_ENTRIES, day)


def entries_of(day: int) -> int:
    """How many entries the whole day makes."""
    return NEW_ENTRIES[day % WEEK]


def sign_up_times(day: int) -> list[int]:
    """When the day's new users sign up, by id. The first does as the day begins, to write its entries."""
    return [0, *_times(_draws(day * 4 + 1), NEW_USERS[day % WEEK] - 1)]


def user_versions(day: int) -> list[UserVersion]:
    """The day's versions of users, ordered by (at_ms, id), which no two share."""
    known = users_before(day)
    versions = [_user(known + n + 1, day, at, at, day, 0) for n, at in enumerate(sign_up_times(day))]
    if known:
        rng = _draws(day * 4 + 2)
        for change, at in enumerate(_times(rng, CHANGED_USERS[day % WEEK])):
            user = 1 + int(rng.random() * known)
            signed_up_day = _day_of_user(user, day)
            signed_up_ms = sign_up_times(signed_up_day)[user - users_before(signed_up_day) - 1]
            versions.append(_user(user, day, at, signed_up_ms, signed_up_day, change + 1))
    return sorted(versions, key=lambda v: (v.at_ms, v.id))


def journal_entries(day: int, places: Sequence[str]) -> list[JournalEntry]:
    """The day's entries, ordered by (at_ms, id), each by a user who has signed up by then."""
    rng = _draws(day * 4 + 3)
    known, sign_ups, first = users_before(day), sign_up_times(day), entries_before(day) + 1
    draw = rng.random
    entries = []
    for n, at in enumerate(_times(rng, entries_of(day))):
        user = 1 + int(_share(draw) * (known + bisect_right(sign_ups, at)))
        game = SLUGS[(user + int(draw() ** 2 * len(SLUGS))) % len(SLUGS)]
        mood = None if draw() < 0.1 else 1 + int(draw() * 5)
        words, minutes = int(5 + 200 * draw() ** 2), round(3 + 117 * draw(), 1)
        entries.append(JournalEntry(at, first + n, user, game, _place(user, draw, places), mood, words, minutes))
    return entries


def _share(draw: Callable[[], float]) -> float:
    """From 0 to 1, and nearer 0 a quarter of the time: some users write much and most write little, as people do."""
    share = draw()
    return share * share if draw() < 0.25 else share


def _place(user: int, draw: Callable[[], float], places: Sequence[str]) -> str | None:
    """Mostly one of a few places near the user's home in the list, now and then anywhere; typed as people type."""
    kind = draw()
    if kind < 0.05:
        return None
    near = (user * 37 + int(draw() * 4)) % len(places)
    name = places[near if kind < 0.85 else int(draw() * len(places))]
    if kind < 0.07:
        return name.upper()
    return f" {name} " if kind < 0.09 else name


def _user(user: int, day: int, at_ms: int, signed_up_ms: int, signed_up_day: int, change: int) -> UserVersion:
    rng = _draws((user << 24) + (day << 8) + change)
    language = LANGUAGES[user * 7 % len(LANGUAGES)] if change == 0 else LANGUAGES[int(rng.random() * len(LANGUAGES))]
    plan = PLANS[0] if change == 0 else PLANS[int(rng.random() * len(PLANS))]
    return UserVersion(at_ms, user, signed_up_day, signed_up_ms, f"player-{user:05d}", language, plan)


def _draws(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - sample data, repeatable on purpose


def _times(rng: random.Random, count: int) -> list[int]:
    """That many distinct times of a day but its first millisecond, in order."""
    times: set[int] = set()
    while len(times) < count:
        times.add(1 + int(rng.random() * (DAY_MS - 1)))
    return sorted(times)


def _day_of_user(user: int, before: int) -> int:
    """The day, earlier than `before`, on which the user signed up."""
    return bisect_right(range(before), user - 1, key=users_before) - 1


def _sum_before(weekly: Sequence[int], day: int) -> int:
    weeks, rest = divmod(day, WEEK)
    return weeks * sum(weekly) + sum(weekly[:rest])
