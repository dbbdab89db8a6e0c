"""What is needed of a machine, and whether it is there: what set-up, `terrane doctor` and a cluster's start ask.

Standard library only at the top: bootstrapping runs this before anything is installed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that is needed: whether it is there, where it was found, or else what to do."""

    name: str
    good: bool
    detail: str


def show(title: str, findings: Iterable[Finding]) -> bool:
    """Prints the findings as a table; returns whether all of them are good."""
    from terrane_cli.console import console, titled_table

    findings = list(findings)
    table = titled_table(title, "needed", "", "detail")
    for finding in findings:
        table.add_row(finding.name, "[green]✔[/]" if finding.good else "[red]✘ missing[/]", finding.detail)
    console.print(table)
    return all(finding.good for finding in findings)
