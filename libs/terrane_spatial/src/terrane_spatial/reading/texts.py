"""What a text says: numbers that keep their digits when they are written again, days, and times to the microsecond."""

from __future__ import annotations

import datetime as dt
import re

# Written as a program would write the number again, so that nothing is lost by taking it for one.
INTEGER = re.compile(r"-?(0|[1-9]\d*)\Z", re.ASCII)
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d*[1-9]|\.0)?([eE][+-]?\d+)?\Z", re.ASCII)
DAY = re.compile(r"(\d{4})([-/]?)(\d{2})\2(\d{2})\Z", re.ASCII)
INSTANT = re.compile(
    r"(\d{4})([-/])(\d{2})\2(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s?(Z|z|[+-]\d{2}:?\d{2})?\Z",
    re.ASCII,
)


def day(text: str) -> dt.date | None:
    """The day, of a text such as 2020-02-29, 2020/02/29 or 20200229; None for what is none in the calendar."""
    found = DAY.match(text)
    return _day(found.group(1), found.group(3), found.group(4)) if found else None


def instant(text: str) -> tuple[dt.datetime, str] | None:
    """The time, with its zone where it has one, and the digits beyond a microsecond; None for what is none."""
    found = INSTANT.match(text)
    if not found:
        return None
    year, _, month, date, hour, minute, second, fraction, zone = found.groups()
    digits = (fraction or "").ljust(6, "0")
    try:
        time = dt.datetime(
            int(year), int(month), int(date), int(hour), int(minute), int(second or 0), int(digits[:6]), _zone(zone)
        )
        return (time.astimezone(dt.UTC) if zone else time), digits[6:].rstrip("0")
    except (ValueError, OverflowError):
        return None


def _day(year: str, month: str, date: str) -> dt.date | None:
    try:
        return dt.date(int(year), int(month), int(date))
    except ValueError:
        return None


def _zone(zone: str | None) -> dt.tzinfo | None:
    if not zone:
        return None
    if zone in "Zz":
        return dt.UTC
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return dt.timezone(dt.timedelta(minutes=-minutes if zone[0] == "-" else minutes))
