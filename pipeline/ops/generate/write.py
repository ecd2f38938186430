"""Write a data set as JSON lines, or as the Parquet files that TLC publishes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.ops.generate.trips import Columns, Trips

Progress = Callable[[int], None]
"""Gets how many trips are done."""

CODECS: Final = {"none": None, "gz": "gzip", "zst": "zstd", "lz4": "lz4", "bz2": "bz2"}
"""Endings of files' names, and what pyarrow calls the compression."""

_TIME_SUFFIX: Final = "_datetime"
_encode: Final = msgspec.json.Encoder().encode


def write_lines(
    blocks: Iterable[Trips],
    folder: Path,
    *,
    compress: str = "none",
    lines_a_file: int = 1_000_000,
    progress: Progress = lambda done: None,
) -> list[Path]:
    """Write `trips-00000.ndjson` and so on in order of dropoff; return the files' paths."""
    written: list[Path] = []
    remaining, done = _lines(blocks), 0
    ending = "" if compress == "none" else f".{compress}"
    while (line := next(remaining, None)) is not None:
        path = folder / f"trips-{len(written):05d}.ndjson{ending}"
        with _opened(path, CODECS[compress]) as file:
            file.write(line)
            done += 1
            while done % lines_a_file and (line := next(remaining, None)) is not None:
                file.write(line)
                done += 1
                if done % 10_000 == 0:
                    progress(done)
        written.append(path)
    progress(done)
    return written


def _lines(blocks: Iterable[Trips]) -> Iterator[bytes]:
    for block in blocks:
        lines = np.empty(len(block), dtype=object)
        for code, columns in enumerate(block.of_type.values()):
            lines[block.codes == code] = _of_type(columns)
        yield from lines.tolist()


def _of_type(columns: Columns) -> list[bytes]:
    names = list(columns)
    rows = zip(*(_values(name, values) for name, values in columns.items()), strict=True)
    return [_encode(dict(zip(names, row, strict=True))) + b"\n" for row in rows]


def _values(name: str, values: Any) -> list[Any]:
    if not name.endswith(_TIME_SUFFIX):
        plain: list[Any] = values.tolist()
        return plain
    times = np.datetime_as_string(values.astype("datetime64[ms]"), unit="ms", timezone="UTC")
    texts: list[Any] = times.tolist()
    return texts


@contextmanager
def _opened(path: Path, codec: str | None) -> Iterator[Any]:
    with pa.OSFile(str(path), "wb") as file, pa.BufferedOutputStream(file, 1 << 20) as buffered:
        if codec is None:
            yield buffered
            return
        with pa.CompressedOutputStream(buffered, codec) as compressed:
            yield compressed


# TLC's files.

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
    blocks: Iterable[Trips], folder: Path, *, progress: Progress = lambda done: None
) -> list[Path]:
    """Write one file a colour and month of pickup, `yellow_tripdata_2018-01.parquet` and so on.

    Column names and types are those of TLC's files of 2018 (times without a zone, some integers as
    doubles), so that what reads these reads TLC's own. TLC has no ids: `trip_id` and `type` are
    left out, and the replay generates them. Returns the files' paths.
    """
    writers: dict[Path, pq.ParquetWriter] = {}
    done = 0
    with ExitStack() as stack:
        for block in blocks:
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
            _table(event_type, {name: values[months == month] for name, values in columns.items()}),
        )
        for month in np.unique(months)
    ]


def _table(event_type: str, columns: Columns) -> pa.Table:
    _, theirs = _COLOURS[event_type]
    return pa.table(
        {
            name: pa.array(columns[ours].astype("datetime64[ms]")).cast(kind)
            if kind == _TIME
            else pa.array(columns[ours], from_pandas=False).cast(kind)
            for name, (ours, kind) in theirs.items()
        }
    )
