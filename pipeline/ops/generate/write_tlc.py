"""Writes a data set as TLC publishes it: one Parquet file a colour and month of pickup.

Column names and types are those of TLC's files of 2018 (times without a zone, some integers as
doubles), so that what reads these reads TLC's own. TLC has no ids: `trip_id` and `type` are left
out, and the replay makes them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.ops.generate.history import Trips
from pipeline.ops.generate.trips import Columns

_TIME: Final = pa.timestamp("us")
_COMMON: Final = {
    "VendorID": ("vendor_id", pa.int64()),
    "passenger_count": ("passenger_count", pa.float64()),
    "trip_distance": ("trip_distance", pa.float64()),
    "RatecodeID": ("ratecode_id", pa.float64()),
    "store_and_fwd_flag": ("store_and_fwd_flag", pa.string()),
    "PULocationID": ("pickup_location_id", pa.int64()),
    "DOLocationID": ("dropoff_location_id", pa.int64()),
    "payment_type": ("payment_type", pa.int64()),
    **{
        name: (name, pa.float64())
        for name in (
            *("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount"),
            *("improvement_surcharge", "total_amount"),
        )
    },
}
_COLOURS: Final[Mapping[str, tuple[str, Mapping[str, tuple[str, pa.DataType]]]]] = {
    "trip": (
        "yellow",
        {
            "tpep_pickup_datetime": ("pickup_datetime", _TIME),
            "tpep_dropoff_datetime": ("dropoff_datetime", _TIME),
            **_COMMON,
        },
    ),
    "green_trip": (
        "green",
        {
            "lpep_pickup_datetime": ("pickup_datetime", _TIME),
            "lpep_dropoff_datetime": ("dropoff_datetime", _TIME),
            **_COMMON,
            "trip_type": ("trip_type", pa.float64()),
        },
    ),
    "fhv_trip": (
        "fhv",
        {
            "dispatching_base_num": ("dispatching_base_num", pa.string()),
            "pickup_datetime": ("pickup_datetime", _TIME),
            "dropOff_datetime": ("dropoff_datetime", _TIME),
            "PUlocationID": ("pickup_location_id", pa.float64()),
            "DOlocationID": ("dropoff_location_id", pa.float64()),
            "Affiliated_base_number": ("affiliated_base_number", pa.string()),
        },
    ),
}


def write_tlc(
    made: Iterable[Trips], folder: Path, *, progress: Callable[[int], None] = lambda done: None
) -> list[Path]:
    """Writes `yellow_tripdata_2018-01.parquet` and so on; says which."""
    writers: dict[Path, pq.ParquetWriter] = {}
    done = 0
    with ExitStack() as stack:
        for block in made:
            for event_type, columns in block.of_type.items():
                for path, table in _by_month(event_type, columns, folder):
                    if path not in writers:
                        writer = pq.ParquetWriter(path, table.schema, compression="zstd")
                        writers[path] = stack.enter_context(writer)
                    writers[path].write_table(table)
            done += len(block)
            progress(done)
    return sorted(writers)


def _by_month(event_type: str, columns: Columns, folder: Path) -> list[tuple[Path, pa.Table]]:
    colour, _ = _COLOURS[event_type]
    months = columns["pickup_datetime"].astype("datetime64[ms]").astype("datetime64[M]")
    return [
        (
            folder / f"{colour}_tripdata_{month}.parquet",
            _table(event_type, {name: each[months == month] for name, each in columns.items()}),
        )
        for month in np.unique(months)
    ]


def _table(event_type: str, columns: Columns) -> pa.Table:
    _, wanted = _COLOURS[event_type]
    return pa.table(
        {
            name: pa.array(columns[ours].astype("datetime64[ms]")).cast(kind)
            if kind == _TIME
            else pa.array(columns[ours], from_pandas=False).cast(kind)
            for name, (ours, kind) in wanted.items()
        }
    )
