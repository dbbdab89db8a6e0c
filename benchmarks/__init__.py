"""Side-by-side measurements in one run: stock tool, ours, floor. `make bench-spatial`, `make bench-features`."""
