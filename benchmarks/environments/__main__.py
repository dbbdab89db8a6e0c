"""`python -m benchmarks.environments`: prints what was compared and found."""

from __future__ import annotations

import sys

from benchmarks.environments.touching import measure

found = measure()
for environment, own in found.own.items():
    named = environment or "without a name"
    print(f"environment {named}: {own}, {len(found.touched[environment])} of them touched by the other")
    for store, name in sorted(found.touched[environment]):
        print(f"  touched: {store} {name}")
print(f"environments_touching: {found.count}, in {found.seconds:.0f} s")
sys.exit(1 if found.count else 0)
