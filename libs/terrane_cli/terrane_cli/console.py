"""Where commands print: the terminal, or lines of 160 characters where there is none."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

_terminal = sys.stdout.isatty()
console = Console(highlight=False, soft_wrap=not _terminal, width=None if _terminal else 160)


def titled_table(title: str, *columns: str) -> Table:
    """An empty table with a bold title on its left."""
    return Table(*columns, title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
