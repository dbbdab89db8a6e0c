"""`make bench-features`: materialising and serving, beside stock Feast."""

from __future__ import annotations

from benchmarks.features import materializing, serving
from benchmarks.report import machine, merge_figures, write_section


def main() -> None:
    parts, figures = [machine() + "."], {}
    for part in (materializing, serving):
        text, found = part.run()
        parts.append(text)
        figures |= found
    write_section("Features", "\n\n".join(parts))
    how = {"command": "make bench-features", "repeats": min(materializing.ROUNDS, serving.ROUNDS)}
    merge_figures("features", figures, how)
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()
