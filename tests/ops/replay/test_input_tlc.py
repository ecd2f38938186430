"""TLC's own monthly files become events of our schemas."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import schemas
from connectors.errors import UserError
from pipeline.decode.decoder import Decoder, Event, Reject
from pipeline.events import event_types
from tests import python_typed
from tests.ops.replay.input_data import START, history, raws, seconds, trips, write
from tests.python_typed import REFUSAL

TYPES = event_types.load(Path(schemas.__file__).parent)
FIRST = datetime(2018, 1, 1)  # noqa: DTZ001  # As TLC has it: without a zone.
ROWS = 12_000
TIME = pa.timestamp("us")


def column(kind: pa.DataType, *values: Any, rows: int = ROWS) -> pa.Array:
    """These values again and again."""
    return pa.array([values[at % len(values)] for at in range(rows)], kind)


def instants(minutes: int = 0, rows: int = ROWS) -> pa.Array:
    return pa.array([FIRST + timedelta(minutes=minutes, seconds=at) for at in range(rows)], TIME)


def metered(prefix: str, rows: int = ROWS) -> dict[str, pa.Array]:
    """What yellow and green have in common, with TLC's names and types."""
    money = {
        name: column(pa.float64(), 4.5, 0.1, 12.0, -2.5, rows=rows)
        for name in (
            *("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount"),
            *("improvement_surcharge", "total_amount"),
        )
    }
    return {
        "VendorID": column(pa.int64(), 1, 2, rows=rows),
        f"{prefix}_pickup_datetime": instants(rows=rows),
        f"{prefix}_dropoff_datetime": instants(15, rows=rows),
        "passenger_count": column(pa.float64(), 1.0, 2.0, 0.0, rows=rows),
        "trip_distance": column(pa.float64(), 0.5, 12.75, 3.0, rows=rows),
        "RatecodeID": column(pa.float64(), 1.0, 99.0, rows=rows),
        "store_and_fwd_flag": column(pa.string(), "N", "Y", rows=rows),
        "PULocationID": column(pa.int64(), 132, 1, 265, rows=rows),
        "DOLocationID": column(pa.int64(), 41, 264, rows=rows),
        "payment_type": column(pa.int64(), 1, 2, rows=rows),
        **money,
        "congestion_surcharge": column(pa.float64(), None, 2.5, rows=rows),
    }


def yellow(rows: int = ROWS) -> pa.Table:
    return pa.table({**metered("tpep", rows), "airport_fee": column(pa.float64(), None, rows=rows)})


def green(rows: int = ROWS) -> pa.Table:
    own = {
        "ehail_fee": column(pa.null(), None, rows=rows),
        "trip_type": column(pa.float64(), 1.0, None, 2.0, rows=rows),
    }
    return pa.table({**metered("lpep", rows), **own})


def for_hire(rows: int = ROWS) -> pa.Table:
    return pa.table(
        {
            "dispatching_base_num": column(pa.string(), "B00001", "B02764", rows=rows),
            "pickup_datetime": instants(rows=rows),
            "dropOff_datetime": instants(20, rows=rows),
            "PUlocationID": column(pa.float64(), 132.0, 1.0, rows=rows),
            "DOlocationID": column(pa.float64(), 230.0, rows=rows),
            "SR_Flag": column(pa.float64(), None, 1.0, rows=rows),
            "Affiliated_base_number": column(pa.string(), "B00001", None, 'B"0\u00e9', rows=rows),
        }
    )


def high_volume(rows: int = ROWS) -> pa.Table:
    shared = for_hire(rows).drop(["SR_Flag", "Affiliated_base_number"])
    return shared.append_column("hvfhs_license_num", column(pa.string(), "HV0003", rows=rows))


def changed(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def verdicts(events: list[bytes | None]) -> list[Any]:
    return [Decoder(TYPES).decode(raw) for raw in events]


@pytest.mark.parametrize(
    ("name", "table", "event_type", "digit"),
    [
        ("yellow_tripdata_2018-01.parquet", yellow(), "trip", 1),
        ("green_tripdata_2018-01.parquet", green(), "green_trip", 2),
        ("fhv_tripdata_2018-01.parquet", for_hire(), "fhv_trip", 3),
        ("fhvhv_tripdata_2018-01.parquet", high_volume(), "fhv_trip", 4),
    ],
)
def test_every_row_of_a_colour_is_an_event(
    tmp_path: Path, name: str, table: pa.Table, event_type: str, digit: int
) -> None:
    pq.write_table(table, tmp_path / name, row_group_size=5_000)
    source = history(tmp_path)
    blocks = list(source.blocks())
    events = raws(blocks)
    decoded = Decoder(TYPES).decode_batch(events)
    assert set(decoded.kind) == {"event"}
    assert set(decoded.event_type) == {event_type}
    ids = [int(key or b"") for block in blocks for key in block.keys]
    first = digit * 10**14 + 201801 * 10**8 + 1
    assert ids == list(range(first, first + ROWS))
    assert source.counts.lines == source.counts.events == ROWS


def test_values_are_as_tlc_has_them(tmp_path: Path) -> None:
    pq.write_table(yellow(2), tmp_path / "yellow_tripdata_2018-01.parquet")
    source = history(tmp_path)
    blocks = list(source.blocks())
    assert seconds(blocks) == [900, 901]
    assert raws(blocks)[1] == (
        b'{"trip_id":120180100000002,"type":"trip","vendor_id":2,'
        b'"pickup_datetime":"2018-01-01T00:00:01.000Z",'
        b'"dropoff_datetime":"2018-01-01T00:15:01.000Z","passenger_count":2,'
        b'"trip_distance":12.75,"ratecode_id":99,"store_and_fwd_flag":"Y",'
        b'"pickup_location_id":1,"dropoff_location_id":264,"payment_type":2,"fare_amount":0.1,'
        b'"extra":0.1,"mta_tax":0.1,"tip_amount":0.1,"tolls_amount":0.1,'
        b'"improvement_surcharge":0.1,"total_amount":0.1}'
    )
    left_out = {"trip": {"airport_fee", "congestion_surcharge"}}
    assert source.counts.columns_left_out == left_out


def test_null_leaves_a_member_out(tmp_path: Path) -> None:
    pq.write_table(green(3), tmp_path / "green_tripdata_2018-01.parquet")
    events = [json.loads(raw or b"") for raw in raws(history(tmp_path).blocks())]
    assert [event.get("trip_type", "absent") for event in events] == [1, "absent", 2]
    assert all("ehail_fee" not in event for event in events)


def test_nothing_is_coerced(tmp_path: Path) -> None:
    table = changed(yellow(3), "passenger_count", pa.array([1.5, None, 1e300]))
    pq.write_table(table, tmp_path / "yellow_tripdata_2018-01.parquet")
    lines = raws(history(tmp_path).blocks())
    reasons = [verdict.reason for verdict in verdicts(lines) if isinstance(verdict, Reject)]
    assert reasons == ["wrong_type", "missing_field", "wrong_type"]
    assert json.loads(lines[0] or b"")["passenger_count"] == 1.5


def test_times_finer_than_a_millisecond_are_kept_for_the_decoder_to_refuse(tmp_path: Path) -> None:
    fine = pa.array([FIRST, FIRST + timedelta(microseconds=1)], TIME)
    table = changed(yellow(2), "tpep_pickup_datetime", fine)
    pq.write_table(table, tmp_path / "yellow_tripdata_2018-01.parquet")
    first, second = verdicts(raws(history(tmp_path).blocks()))
    assert isinstance(first, Event)
    assert isinstance(second, Reject)
    assert second.reason == "timestamp_precision"


def test_rows_that_json_cannot_say_are_bad(tmp_path: Path) -> None:
    table = changed(yellow(4), "fare_amount", pa.array([1.0, np.nan, np.inf, None]))
    table = changed(table, "tpep_dropoff_datetime", pa.array([None, FIRST, FIRST, FIRST], TIME))
    pq.write_table(table, tmp_path / "yellow_tripdata_2018-01.parquet")
    source = history(tmp_path)
    assert len(raws(source.blocks())) == 1
    assert source.counts.bad_examples == [
        "yellow_tripdata_2018-01.parquet:1: dropoff_datetime is null",
        "yellow_tripdata_2018-01.parquet:2: a number isn't finite",
        "yellow_tripdata_2018-01.parquet:3: a number isn't finite",
    ]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_names_in_any_case_and_times_of_any_unit_are_read(tmp_path: Path, unit: str) -> None:
    table = yellow(2)
    table = table.rename_columns([name.swapcase() for name in table.column_names])
    for name in ("TPEP_PICKUP_DATETIME", "TPEP_DROPOFF_DATETIME"):
        table = changed(table, name, table.column(name).cast(pa.timestamp(unit)))
    pq.write_table(table, tmp_path / "a.parquet", version="2.6")
    blocks = list(history(tmp_path, timestamp_field="pickup_datetime").blocks())
    assert seconds(blocks) == [0, 1]
    assert all(isinstance(verdict, Event) for verdict in verdicts(raws(blocks)))


def test_the_month_of_ids_is_that_of_the_name_or_the_first_pickup(tmp_path: Path) -> None:
    pq.write_table(yellow(1), tmp_path / "yellow_tripdata_2019-07.parquet")
    pq.write_table(yellow(1), tmp_path / "yellow.parquet")
    keys = [key for block in history(tmp_path).blocks() for key in block.keys]
    assert sorted(key or b"" for key in keys) == [b"120180100000001", b"120190700000001"]


def test_two_files_with_the_same_ids_are_refused(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        pq.write_table(yellow(1), tmp_path / name)
    with pytest.raises(UserError, match="a.parquet and b.parquet hold trip events of one month"):
        list(history(tmp_path).blocks())


def test_colours_and_json_are_merged(tmp_path: Path) -> None:
    pq.write_table(yellow(3_000), tmp_path / "yellow_tripdata_2018-01.parquet")
    pq.write_table(for_hire(3_000), tmp_path / "fhv_tripdata_2018-01.parquet")
    write(tmp_path / "a.json.gz", trips(range(3_000)), "gzip")
    source = history(tmp_path, timestamp_field="pickup_datetime")
    come = seconds(source.blocks())
    assert come == sorted(come)
    assert len(come) == 9_000
    assert source.counts.out_of_order == 0


def test_other_parquet_is_refused_with_what_is_known(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"its columns are a, b\. Known .* tpep_pickup_datetime"):
        list(history(tmp_path).blocks())


def test_a_time_that_the_type_lacks_is_refused(tmp_path: Path) -> None:
    pq.write_table(yellow(1), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="has no time 'at'; trip events have pickup_datetime and"):
        list(history(tmp_path, timestamp_field="at").blocks())


def test_damaged_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    pq.write_table(yellow(2), tmp_path / "b")
    source = history(tmp_path)
    assert len(raws(source.blocks())) == 2
    assert source.counts.bad_files[0].startswith("a.parquet: no readable Parquet: ")


def test_a_file_with_a_python_type_is_a_bad_file(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(python_typed.parquet(yellow(1)))
    pq.write_table(yellow(2), tmp_path / "b")
    found = history(tmp_path)
    assert len(raws(found.blocks())) == 2
    assert re.match(f"a.parquet: no readable Parquet: {REFUSAL}", found.counts.bad_files[0])


def test_the_selection_holds_for_rows_too(tmp_path: Path) -> None:
    pq.write_table(yellow(), tmp_path / "a.parquet")
    source = history(tmp_path, start_ms=START + 1_000_000, limit=10, key_field="vendor_id")
    (block,) = source.blocks()
    assert seconds([block]) == list(range(1_000, 1_010))
    assert set(block.keys) == {b"1", b"2"}
