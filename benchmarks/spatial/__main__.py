"""`make bench-spatial`: measures, prints the table, and writes docs/benchmarks.md and benchmarks/results."""

from __future__ import annotations

import compileall
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
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

Contenders = dict[str, Callable[[], Run]]
Rows = list[list[object]]


@dataclass(frozen=True)
class Measured:
    """The timed runs of each contender, and the peak of one more that was weighed, in MiB."""

    runs: dict[str, list[Run]]
    peaks: dict[str, float]


def main() -> None:
    figures: dict[str, float] = {}
    lines: Rows = []
    # As the images do it: a process that reads a file writes no byte code, and would compile its modules every time.
    compileall.compile_dir(ROOT / "libs", quiet=2)
    with tempfile.TemporaryDirectory(prefix="terrane-bench-files-") as folder, server.running() as postgres:
        files = Path(folder)
        _loading(postgres, files, figures, lines)
        _many_rows(postgres, files, figures, lines)
        _rasters(files, figures, lines)
    body = f"{machine()}\n\n{table(HEADER, lines)}\n\n{HOW.read_text().strip()}"
    how = {"command": "make bench-spatial", "repeats": min(ROUNDS, LOADING_ROUNDS)}
    merge_figures("spatial", {name: round(value, 3) for name, value in figures.items()}, how)
    write_section("Spatial", body)
    print(body)


def _loading(postgres: PostgresResource, files: Path, figures: dict[str, float], lines: Rows) -> None:
    """Loads points, then polygons, and exports the polygons."""
    for kind, write in (("points", data.write_points), ("polygons", data.write_polygons)):
        path = write(_named_for_its_table(files / kind), ROWS)
        load.ours(postgres, path)
        ready = load.dump(postgres, files / f"{kind}.copy")
        contenders: Contenders = {
            "ours": lambda path=path: load.ours(postgres, path),
            READ_ONCE: lambda path=path: load.ours(postgres, path, compared=False),
            "ogr2ogr": lambda path=path: load.ogr2ogr(postgres, path),
            "COPY of ready bytes": lambda ready=ready: load.floor(postgres, ready),
        }
        measured = _measure(f"load {ROWS:,} {kind}", contenders, lines, LOADING_ROUNDS)
        runs = measured.runs
        figures[f"load_{kind}_vs_ogr2ogr"] = _ratio(runs["ogr2ogr"], runs["ours"])
        floor = _ratio(runs["ours"], runs["COPY of ready bytes"])
        figures["load_vs_copy_floor" if kind == "polygons" else f"load_{kind}_vs_copy_floor"] = floor
        for figure, of in COSTS.items():
            cost = _ratio(runs["ours"], runs[READ_ONCE], of) - 1
            figures[figure] = max(cost, figures.get(figure, cost))
        figures["load_peak_mb_1m"] = max(measured.peaks["ours"], figures.get("load_peak_mb_1m", 0))
        ours, ogr = load.changed_doubles(postgres)
        lines.append([f"doubles changed, of {ROWS:,} {kind}", f"ours {ours:,}; ogr2ogr {ogr:,}", "", "", "", ""])
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
    runs = _measure(f"export {ROWS:,} polygons", exporting, lines).runs
    figures["export_vs_geopandas"] = _ratio(runs["geopandas"], runs["ours"])
    theirs.unlink()
    ours_file.unlink()


def _many_rows(postgres: PostgresResource, files: Path, figures: dict[str, float], lines: Rows) -> None:
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
    figures["load_peak_mb_4m"], figures["export_peak_mb_4m"] = loaded.peak_mb, exported.peak_mb
    for what, run in (("load", loaded), ("export", exported)):
        _line(f"{what} {MANY_ROWS:,} polygons, once, weighed", "ours", [run], 1.0, run.peak_mb, lines)


def _rasters(files: Path, figures: dict[str, float], lines: Rows) -> None:
    source = rasters.write_terrain(files / "terrain.tif")
    contenders: Contenders = {
        "ours": lambda: rasters.ours(source, files / "ours.tif"),
        "gdal_translate": lambda: rasters.gdal_translate(source, files / "theirs.tif"),
    }
    runs = _measure("144 MB of heights to COG", contenders, lines).runs
    figures["cog_vs_gdal_translate"] = _ratio(runs["gdal_translate"], runs["ours"])


def _named_for_its_table(folder: Path) -> Path:
    folder.mkdir()
    return folder / f"{load.TABLE}.gpkg"


def _measure(what: str, contenders: Contenders, lines: Rows, number: int = ROUNDS) -> Measured:
    runs: dict[str, list[Run]] = {name: [] for name in contenders}

    def timed(name: str) -> float:
        runs[name].append(contenders[name]())
        print(f"{what}: {name} {runs[name][-1].seconds:.2f} s", flush=True)
        return runs[name][-1].seconds

    rounds(number, {name: lambda name=name: timed(name) for name in contenders})
    peaks = {name: _peak(contender) for name, contender in contenders.items()}
    for name, each in runs.items():
        _line(what, name, each, _ratio(each, runs["ours"]), peaks[name], lines)
    return Measured(runs, peaks)


def _peak(contender: Callable[[], Run]) -> float:
    with weighing():
        return contender().peak_mb


def _ratio(these: list[Run], those: list[Run], of: str = "seconds") -> float:
    return median_ratio([_taken(run, of) for run in these], [_taken(run, of) for run in those])


def _taken(run: Run, of: str) -> float:
    return run.seconds if of == "seconds" else run.told[of]


def _line(what: str, contender: str, runs: list[Run], ratio: float, peak: float, lines: Rows) -> None:
    seconds = [run.seconds for run in runs]
    lines.append(
        [what, contender, f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}", f"{ratio:.2f} x", f"{peak:.0f}"]
    )


if __name__ == "__main__":
    main()
