"""`plot.py lake.json`: plot the speed of all runs; run by the bench's interpreter."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot


def main(path: Path) -> None:
    """Draw a bar for the median and a dot for each run, the fastest on top."""
    matplotlib.rcParams["svg.hashsalt"] = "bench"
    bench = json.loads(path.read_text(encoding="utf-8"))
    speeds: dict[str, list[float]] = {}
    for run in bench["runs"]:
        speeds.setdefault(run["name"], []).append(run["events_per_second"])
    medians = {name: sorted(measured)[len(measured) // 2] for name, measured in speeds.items()}
    names = sorted(medians, key=lambda name: medians[name])
    figure, axes = pyplot.subplots(figsize=(8, 3.2), layout="constrained")
    colours = ["#2a6f97" if name.startswith("ours") else "#b0b7bf" for name in names]
    axes.barh(names, [medians[name] for name in names], color=colours)
    for at, name in enumerate(names):
        axes.plot(speeds[name], [at] * len(speeds[name]), "o", color="#1b1b1b", markersize=3)
    axes.set_xlabel(f"events a second, {bench['events']:,} events of {bench['event_bytes']} bytes")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
