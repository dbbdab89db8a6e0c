"""`make bench-spatial`: measures, prints the table, and writes docs/benchmarks.md and benchmarks/results.

python -m benchmarks.spatial [--parts loading many-rows rasters second-reader] [--rounds 9]

Without parts all but the last are measured, which is a part of loading; figures of parts alone go to the results and
not to the page. Where Debian's tools are not installed, ours are measured without them, and their figures stay.
"""

from __future__ import annotations

import argparse
import compileall
import shutil
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import ROOT, machine, median_ratio, merge_figures, rounds, table, write_section
from benchmarks.spatial import data, export, load, rasters, server
from benchmarks.spatial.processes import Run, weighing
from terrane.postgres import PostgresResource

ROUNDS, LOADING_ROUNDS = 5, 9
ROWS, MANY_ROWS = 1_000_000, 4_000_000
HEADER = ["what", "contender", "median s", "slowest s", "against ours", "peak MiB"]
# To measure what the second reading costs; nobody loads so.
READ_ONCE = "ours, read once"
COSTS = {"second_reader_cost": "cpu_s", "second_reader_cost_with_server": "cpu_s_with_server"}
HOW = Path(__file__).with_name("how.md")

KINDS = ("points", "polygons")
# Contenders that are programs of their own name.
PROGRAMS = ("ogr2ogr", "gdal_translate")

Contenders = dict[str, Callable[[], Run]]


@dataclass(frozen=True)
class Measured:
    """The timed runs of each contender, and the peak of one more that was weighed, in MiB."""

    runs: dict[str, list[Run]]
    peaks: dict[str, float]


@dataclass
class Bench:
    """What was measured so far: figures by name, and lines of the table.

    Attributes:
        missing: contenders that are not installed.
    """

    loading_rounds: int
    figures: dict[str, float] = field(default_factory=dict)
    lines: list[list[object]] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)

    def measure(self, what: str, contenders: Contenders, number: int = ROUNDS) -> Measured:
        """Times all contenders that are installed, in turns, and weighs each once."""
        runs = self.timed(what, contenders, number)
        peaks = {name: _peak(contenders[name]) for name in runs}
        for name, each in runs.items():
            self.line(what, name, each, _ratio(each, runs["ours"]), peaks[name])
        return Measured(runs, peaks)

    def timed(self, what: str, contenders: Contenders, number: int) -> dict[str, list[Run]]:
        missing = {name for name in contenders if name in PROGRAMS and shutil.which(name) is None}
        self.missing |= missing
        runs: dict[str, list[Run]] = {name: [] for name in contenders if name not in missing}

        def timed(name: str) -> float:
            runs[name].append(contenders[name]())
            print(f"{what}: {name} {runs[name][-1].seconds:.2f} s", flush=True)
            return runs[name][-1].seconds

        rounds(number, {name: lambda name=name: timed(name) for name in runs})
        return runs

    def note_costs(self, runs: dict[str, list[Run]]) -> None:
        """The worse of what the second reading cost here and before."""
        for figure, of in COSTS.items():
            cost = _ratio(runs["ours"], runs[READ_ONCE], of) - 1
            self.figures[figure] = max(cost, self.figures.get(figure, cost))

    def line(self, what: str, contender: str, runs: list[Run], ratio: float, peak: float) -> None:
        seconds = [run.seconds for run in runs]
        told = [f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}", f"{ratio:.2f} x", f"{peak:.0f}"]
        self.lines.append([what, contender, *told])


def main() -> None:
    asked = _asked()
    bench = Bench(asked.rounds)
    # As the images do it: a process that reads a file writes no byte code, and would compile its modules every time.
    compileall.compile_dir(ROOT / "libs", quiet=2)
    with tempfile.TemporaryDirectory(prefix="terrane-bench-files-") as folder, server.running() as postgres:
        for part in asked.parts or WHOLE:
            PARTS[part](bench, postgres, Path(folder))
    measured = f"{machine()}\n\n{table(HEADER, bench.lines)}"
    how = {"command": "make bench-spatial", "repeats": min(ROUNDS, asked.rounds)}
    merge_figures("spatial", {name: round(value, 3) for name, value in bench.figures.items()}, how)
    if not asked.parts and not bench.missing:
        write_section("Spatial", f"{measured}\n\n{HOW.read_text().strip()}")
    print(measured)
    if bench.missing:
        print(f"not installed, so not compared with: {', '.join(sorted(bench.missing))}")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-spatial")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=[])
    parser.add_argument("--rounds", type=int, default=LOADING_ROUNDS, help="of loading")
    return parser.parse_args()


def _loading(bench: Bench, postgres: PostgresResource, files: Path) -> None:
    """Loads points, then polygons, and exports the polygons."""
    for kind in KINDS:
        path = _written(files, kind)
        load.ours(postgres, path)
        ready = load.dump(postgres, files / f"{kind}.copy")
        contenders: Contenders = {
            **_with_and_without_second_reader(postgres, path),
            "ogr2ogr": lambda path=path: load.ogr2ogr(postgres, path),
            "COPY of ready bytes": lambda ready=ready: load.floor(postgres, ready),
        }
        measured = bench.measure(f"load {ROWS:,} {kind}", contenders, bench.loading_rounds)
        runs = measured.runs
        figures = bench.figures
        floor = _ratio(runs["ours"], runs["COPY of ready bytes"])
        figures["load_vs_copy_floor" if kind == "polygons" else f"load_{kind}_vs_copy_floor"] = floor
        bench.note_costs(runs)
        figures["load_peak_mb_1m"] = max(measured.peaks["ours"], figures.get("load_peak_mb_1m", 0))
        if "ogr2ogr" in runs:
            figures[f"load_{kind}_vs_ogr2ogr"] = _ratio(runs["ogr2ogr"], runs["ours"])
            ours, ogr = load.changed_doubles(postgres)
            bench.lines.append([f"doubles changed, of {ROWS:,} {kind}", f"ours {ours:,}; ogr2ogr {ogr:,}", *[""] * 4])
            if ours:
                raise SystemExit(f"{ours} doubles were changed by loading: exactness is lost")
        path.unlink()
        ready.unlink()
    server.drop(postgres, "ogr", "floor")
    export.name_output(postgres)
    ours_file, theirs = files / "ours.parquet", files / "geopandas.parquet"
    exporting: Contenders = {
        "ours": lambda: export.ours(postgres, ours_file),
        "geopandas": lambda: export.geopandas(postgres, theirs),
    }
    runs = bench.measure(f"export {ROWS:,} polygons", exporting).runs
    bench.figures["export_vs_geopandas"] = _ratio(runs["geopandas"], runs["ours"])
    theirs.unlink()
    ours_file.unlink()


def _second_reader(bench: Bench, postgres: PostgresResource, files: Path) -> None:
    """What the second reading costs, and nothing else."""
    for kind in KINDS:
        path = _written(files, kind)
        contenders = _with_and_without_second_reader(postgres, path)
        bench.note_costs(bench.timed(f"load {ROWS:,} {kind}", contenders, bench.loading_rounds))
        path.unlink()


def _with_and_without_second_reader(postgres: PostgresResource, path: Path) -> Contenders:
    return {"ours": lambda: load.ours(postgres, path), READ_ONCE: lambda: load.ours(postgres, path, compared=False)}


def _written(files: Path, kind: str) -> Path:
    write = {"points": data.write_points, "polygons": data.write_polygons}[kind]
    return write(_named_for_its_table(files / kind), ROWS)


def _many_rows(bench: Bench, postgres: PostgresResource, files: Path) -> None:
    """What ours holds in memory at four times the rows; once, weighed, for memory does not vary as time does."""
    load.clear(postgres)
    path = data.write_polygons(_named_for_its_table(files / "many"), MANY_ROWS)
    with weighing():
        loaded = load.ours(postgres, path)
        path.unlink()
        export.name_output(postgres)
        exported = export.ours(postgres, files / "many.parquet")
    (files / "many.parquet").unlink()
    load.clear(postgres)
    bench.figures["load_peak_mb_4m"], bench.figures["export_peak_mb_4m"] = loaded.peak_mb, exported.peak_mb
    for what, run in (("load", loaded), ("export", exported)):
        bench.line(f"{what} {MANY_ROWS:,} polygons, once, weighed", "ours", [run], 1.0, run.peak_mb)


def _rasters(bench: Bench, _: PostgresResource, files: Path) -> None:
    source = rasters.write_terrain(files / "terrain.tif")
    contenders: Contenders = {
        "ours": lambda: rasters.ours(source, files / "ours.tif"),
        "gdal_translate": lambda: rasters.gdal_translate(source, files / "theirs.tif"),
    }
    runs = bench.measure("144 MB of heights to COG", contenders).runs
    if "gdal_translate" in runs:
        bench.figures["cog_vs_gdal_translate"] = _ratio(runs["gdal_translate"], runs["ours"])


def _named_for_its_table(folder: Path) -> Path:
    folder.mkdir()
    return folder / f"{load.TABLE}.gpkg"


def _peak(contender: Callable[[], Run]) -> float:
    with weighing():
        return contender().peak_mb


def _ratio(these: list[Run], those: list[Run], of: str = "seconds") -> float:
    return median_ratio([_taken(run, of) for run in these], [_taken(run, of) for run in those])


def _taken(run: Run, of: str) -> float:
    return run.seconds if of == "seconds" else run.told[of]


PARTS = {"loading": _loading, "many-rows": _many_rows, "rasters": _rasters, "second-reader": _second_reader}
WHOLE = ("loading", "many-rows", "rasters")

if __name__ == "__main__":
    main()
