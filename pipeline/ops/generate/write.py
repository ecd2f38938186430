"""Write a data set as JSON lines, or as the Parquet files that TLC publishes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from connectors.arrow import ParquetWriter
from pipeline.ops.generate.trips import AMOUNTS, Columns, Trips

Progress = Callable[[int], None]
"""Receives the number of trips written so far."""

_encode: Final = msgspec.json.Encoder().encode


def write_lines(
    blocks: Iterable[Trips],
    folder: Path,
    *,
    compress: str = "none",
    lines_a_file: int = 1_000_000,
    progress: Progress = lambda done: None,
) -> list[Path]:
    """Write `trips-00000.ndjson` and so on in order of dropoff; return the files' paths.

    `compress` is none or a name's ending that pyarrow knows: gz, zst, lz4, bz2.
    """
    written: list[Path] = []
    lines = _lines(blocks, progress)
    ending = "" if compress == "none" else f".{compress}"
    for line in lines:
        path = folder / f"trips-{len(written):05d}.ndjson{ending}"
        with pa.output_stream(str(path), "detect", buffer_size=1 << 20) as file:
            file.write(line)
            for following in islice(lines, lines_a_file - 1):
                file.write(following)
        written.append(path)
    return written


def _lines(blocks: Iterable[Trips], progress: Progress) -> Iterator[bytes]:
    done = 0
    for block in blocks:
        lines = np.empty(len(block), dtype=object)
        for code, columns in enumerate(block.of_type.values()):
            lines[block.codes == code] = _of_type(columns)
        yield from lines.tolist()
        done += len(block)
        progress(done)


def _of_type(columns: Columns) -> list[bytes]:
    names = list(columns)
    rows = zip(*(_values(name, values) for name, values in columns.items()), strict=True)
    return [_encode(dict(zip(names, row, strict=True))) + b"\n" for row in rows]


def _values(name: str, values: Any) -> list[Any]:
    if name.endswith("_datetime"):
        values = np.datetime_as_string(values.astype("M8[ms]"), unit="ms", timezone="UTC")
    return list(values.tolist())


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
    **{name: (name, pa.float64()) for name in (*AMOUNTS, "total_amount")},
    "congestion_surcharge": ("", pa.float64()),
}
_COLOURS: Final = {"trip": "yellow", "green_trip": "green", "fhv_trip": "fhv"}
_COLUMNS: Final[Mapping[str, Mapping[str, tuple[str, pa.DataType]]]] = {
    "yellow": {
        "tpep_pickup_datetime": ("pickup_datetime", _TIME),
        "tpep_dropoff_datetime": ("dropoff_datetime", _TIME),
        **_COMMON,
        "airport_fee": ("", pa.null()),
    },
    "green": {
        "lpep_pickup_datetime": ("pickup_datetime", _TIME),
        "lpep_dropoff_datetime": ("dropoff_datetime", _TIME),
        **_COMMON,
        "ehail_fee": ("", pa.null()),
        "trip_type": ("trip_type", pa.float64()),
    },
    "fhv": {
        "dispatching_base_num": ("dispatching_base_num", pa.string()),
        "pickup_datetime": ("pickup_datetime", _TIME),
        "dropOff_datetime": ("dropoff_datetime", _TIME),
        "PUlocationID": ("pickup_location_id", pa.float64()),
        "DOlocationID": ("dropoff_location_id", pa.float64()),
        "SR_Flag": ("", pa.null()),
        "Affiliated_base_number": ("affiliated_base_number", pa.string()),
    },
}
"""TLC's column names, our fields' names (empty: all null), and TLC's types."""

_FLEX_EVERY: Final = 25
"""One of so many metered trips is a flex fare."""
_NULL_IN_FLEX: Final = {
    "yellow": ("passenger_count", "ratecode_id", "store_and_fwd_flag"),
    "green": ("passenger_count", "ratecode_id", "store_and_fwd_flag", "payment_type", "trip_type"),
    "fhv": (),
}
"""What TLC does not have of flex fares; yellow ones have payment_type 0."""


def write_tlc(
    blocks: Iterable[Trips], folder: Path, *, progress: Progress = lambda done: None
) -> list[Path]:
    """Write one file a colour and month of pickup, `yellow_tripdata_2018-01.parquet` and so on.

    Column names and types are those of TLC's files of 2018 (times without a zone, some integers as
    doubles), so that what reads these reads TLC's own. Some metered trips are flex fares, with
    TLC's nulls, as in its files since 2019. TLC has no ids: `trip_id` and `type` are
    left out, and the replay generates them. Returns the files' paths.
    """
    writers: dict[Path, ParquetWriter] = {}
    done = 0
    with ExitStack() as stack:
        for block in blocks:
            for event_type, columns in block.of_type.items():
                for path, table in _by_month(_COLOURS[event_type], columns, folder):
                    if path not in writers:
                        writer = ParquetWriter(path, table.schema, compression="zstd")
                        writers[path] = stack.enter_context(writer)
                    writers[path].write_table(table)
            done += len(block)
            progress(done)
    return sorted(writers)


def _by_month(colour: str, columns: Columns, folder: Path) -> Iterator[tuple[Path, pa.Table]]:
    months = columns["pickup_datetime"].astype("M8[ms]").astype("M8[M]")
    for month in np.unique(months):
        of_month = {name: values[months == month] for name, values in columns.items()}
        yield folder / f"{colour}_tripdata_{month}.parquet", _table(colour, of_month)


def _table(colour: str, columns: Columns) -> pa.Table:
    rows = len(columns["trip_id"])
    is_flex = columns["trip_id"] % _FLEX_EVERY == 0
    if colour == "yellow":
        payment = np.where(is_flex, 0, columns["payment_type"])
        columns = {**columns, "payment_type": payment}
    arrays = {}
    for name, (ours, kind) in _COLUMNS[colour].items():
        if not ours:
            arrays[name] = pa.nulls(rows, kind)
            continue
        values = columns[ours].astype("M8[ms]") if kind == _TIME else columns[ours]
        mask = is_flex if ours in _NULL_IN_FLEX[colour] else None
        arrays[name] = pa.array(values, mask=mask, from_pandas=False).cast(kind)
    return pa.table(arrays)
