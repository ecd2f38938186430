"""Read back what a contender wrote: a figure counts only if every event is there exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from dev.bench.topic import Topic

_KEYS = ds.partitioning(
    pa.schema([(name, pa.string()) for name in ("pickup_location", "year", "month")]), flavor="hive"
)


@dataclass(frozen=True, slots=True)
class Written:
    """What the lake holds."""

    rows: int
    files: int
    partitions: int
    bytes: int


def written(output: Path, topic: Topic) -> Written:
    """Count the lake's rows; AssertionError unless each position is there once, in its partition.

    Hidden files (`_SUCCESS`, `.part-…`) are skipped, as every reader does.
    """
    root = output / "lake" / "trip"
    files = (path for path in root.rglob("*") if path.is_file())
    paths = [path for path in files if _visible(path.relative_to(root))]
    names = ["source_partition", "source_offset", "pickup_datetime", "pickup_location_id"]
    columns = [*names, "pickup_location", "month"]
    table = ds.dataset(
        list(map(str, paths)), format="parquet", partitioning=_KEYS, partition_base_dir=str(root)
    ).to_table(columns=columns)
    good = topic.records - topic.bad
    assert table.num_rows == good, f"{table.num_rows} rows instead of {good}"
    place = np.asarray(table["source_partition"]).astype(np.int64) << 40
    distinct = len(np.unique(place + np.asarray(table["source_offset"])))
    assert distinct == good, f"{good - distinct} positions are there twice"
    _check_partitions(table)
    partitions = len({path.parent for path in paths})
    return Written(good, len(paths), partitions, sum(path.stat().st_size for path in paths))


def _check_partitions(table: pa.Table) -> None:
    place = np.asarray(table["pickup_location"].to_pandas().astype(int))
    assert (place == np.asarray(table["pickup_location_id"])).all(), "a row is in another place"
    month = table["pickup_datetime"].cast(pa.timestamp("ms")).to_pandas().dt.month
    assert (month == table["month"].to_pandas().astype(int)).all(), "a row is in another month"


def _visible(path: Path) -> bool:
    return not any(part.startswith(("_", ".")) for part in path.parts)
