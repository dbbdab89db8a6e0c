"""What the data are drawn from: the games there are, the words of a profile, and the names of places."""

from __future__ import annotations

from pathlib import Path

PLACES_FILE = Path(__file__).parent.parent / "natural_earth" / "places.txt"

GAME_TYPES = (
    {"id": 1, "slug": "board", "name": "Board games", "is_digital": False},
    {"id": 2, "slug": "card", "name": "Card games", "is_digital": False},
    {"id": 3, "slug": "puzzle", "name": "Puzzles", "is_digital": False},
    {"id": 4, "slug": "role_playing", "name": "Role-playing", "is_digital": False},
    {"id": 5, "slug": "outdoor", "name": "Outdoor games", "is_digital": False},
    {"id": 6, "slug": "arcade", "name": "Arcade", "is_digital": True},
    {"id": 7, "slug": "strategy", "name": "Strategy", "is_digital": True},
    {"id": 8, "slug": "word", "name": "Word games", "is_digital": True},
)
LANGUAGES = ("en", "de", "es", "fr", "pt", "ja", "sw", "hi")
PLANS = ("free", "plus", "family")


def read_places(file: Path = PLACES_FILE) -> tuple[str, ...]:
    """The distinct names, one a line. Raises SystemExit, with what to do, when the file is missing or empty."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not names:
        raise SystemExit(
            f"no place names in {file}; run samples/natural_earth/make_samples.py, or name a file with --places"
        )
    return names
