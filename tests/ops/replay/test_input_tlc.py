"""TLC's own monthly files become events of our schemas."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
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
from pipeline.ops.replay.history import History
from pipeline.ops.replay.selection import Selection
from pipeline.ops.replay.tlc import _members, _plain
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
        b'"improvement_surcharge":0.1,"total_amount":0.1,"congestion_surcharge":2.5}'
    )
    assert source.counts.columns_left_out == {"trip": set()}


def test_a_column_without_a_field_is_named(tmp_path: Path) -> None:
    table = high_volume(1).append_column("tips", pa.array([1.5]))
    pq.write_table(table, tmp_path / "fhvhv_tripdata_2018-01.parquet")
    source = history(tmp_path)
    assert len(raws(source.blocks())) == 1
    assert source.counts.columns_left_out == {"fhv_trip": {"hvfhs_license_num", "tips"}}


def test_rows_and_columns_of_every_year_are_events(tmp_path: Path) -> None:
    """By TLC's data dictionaries and files: flex fares, and columns of 2011, 2019, 2023, 2025."""
    flex = {
        "payment_type": pa.array([0, 0], pa.int64()),
        **{
            name: pa.nulls(2, kind)
            for name, kind in (
                ("passenger_count", pa.float64()),
                ("RatecodeID", pa.float64()),
                ("store_and_fwd_flag", pa.string()),
                ("congestion_surcharge", pa.float64()),
            )
        },
    }
    yellow_flex = yellow(2).drop(["airport_fee"])
    green_flex = green(2)
    for name, column_ in flex.items():
        yellow_flex = changed(yellow_flex, name, column_)
        green_flex = changed(green_flex, name, column_)
    for name in ("payment_type", "trip_type"):
        green_flex = changed(green_flex, name, pa.nulls(2, pa.float64()))
    fees = yellow_flex.append_column("Airport_fee", pa.array([1.75, None]))
    fees = fees.append_column("cbd_congestion_fee", pa.array([0.75, 0.0]))
    early = changed(yellow(2), "improvement_surcharge", pa.nulls(2, pa.float64()))
    early = changed(early, "congestion_surcharge", pa.nulls(2))
    early = changed(early, "airport_fee", pa.nulls(2))
    no_dropoff = changed(for_hire(2), "DOlocationID", pa.nulls(2, pa.float64()))
    tables = {
        "yellow_tripdata_2011-01": early,
        "yellow_tripdata_2020-01": yellow_flex,
        "yellow_tripdata_2025-01": fees,
        "green_tripdata_2020-01": green_flex,
        "fhv_tripdata_2019-01": no_dropoff,
    }
    for name, table in tables.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    lines = raws(history(tmp_path).blocks())
    decoded = [verdict for verdict in verdicts(lines) if isinstance(verdict, Event)]
    assert len(decoded) == len(lines) == 10
    fees_2025 = [json.loads(line or b"") for line in lines if b"1202501" in (line or b"")]
    assert [event.get("airport_fee") for event in fees_2025] == [1.75, None]
    assert [event["cbd_congestion_fee"] for event in fees_2025] == [0.75, 0.0]


def of_2009() -> pa.Table:
    return pa.table(
        {
            "vendor_name": ["VTS"],
            "Trip_Pickup_DateTime": ["2009-01-04 02:52:00"],
            "Trip_Dropoff_DateTime": ["2009-01-04 03:02:00"],
            "Start_Lon": [-73.99],
            "Start_Lat": [40.72],
        }
    )


def of_2010() -> pa.Table:
    return pa.table(
        {
            "vendor_id": ["VTS"],
            "pickup_datetime": ["2010-01-26 07:41:00"],
            "dropoff_datetime": ["2010-01-26 07:45:00"],
            "pickup_longitude": [-73.99],
            "pickup_latitude": [40.74],
        }
    )


SKIPPED = {
    "yellow_tripdata_2009-01": (of_2009(), "coordinates instead of taxi zones"),
    "yellow_tripdata_2010-01": (of_2010(), "coordinates instead of taxi zones"),
    "fhv_tripdata_2015-01": (
        changed(for_hire(1), "dropOff_datetime", pa.nulls(1)),
        "the column dropOff_datetime is null in the whole file",
    ),
    "fhv_tripdata_2016-01": (
        changed(for_hire(1), "dropOff_datetime", pa.array(["2016-01-01"])),
        "the column dropOff_datetime is string, not a timestamp",
    ),
    "other": (pa.table({"a": [1]}), "none of TLC's that we know; its columns are a"),
}


def test_files_that_cannot_be_events_are_skipped_with_their_reason(tmp_path: Path) -> None:
    for name, (table, _) in SKIPPED.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    pq.write_table(yellow(3), tmp_path / "yellow_tripdata_2018-01.parquet")
    source = history(tmp_path)
    for _ in range(2):
        assert len(raws(source.blocks())) == 3
    assert len(source.counts.bad_files) == len(SKIPPED)
    for name, (_, why) in SKIPPED.items():
        (noted,) = [each for each in source.counts.bad_files if each.startswith(name)]
        assert noted.startswith(f"{name}.parquet: skipped: ") and why in noted


@pytest.mark.parametrize("name", SKIPPED)
def test_a_folder_of_nothing_else_is_refused(tmp_path: Path, name: str) -> None:
    table, why = SKIPPED[name]
    pq.write_table(table, tmp_path / f"{name}.parquet")
    with pytest.raises(UserError, match=f"{name}.parquet: .*{why}"):
        list(history(tmp_path).blocks())


def test_null_is_left_out_only_where_that_is_the_default(tmp_path: Path) -> None:
    table = changed(green(3), "extra", pa.nulls(3, pa.float64()))
    pq.write_table(table, tmp_path / "green_tripdata_2018-01.parquet")
    events = [json.loads(raw or b"") for raw in raws(history(tmp_path).blocks())]
    assert [event.get("trip_type", "absent") for event in events] == [1, "absent", 2]
    assert all("ehail_fee" not in event for event in events)
    assert all(event["extra"] is None for event in events)


def test_null_is_written_where_the_default_is_another_value(tmp_path: Path) -> None:
    fields = {
        "passenger_count": ["null", "int"],
        "extra": ["double", "null"],
        "congestion_surcharge": ["null", "double"],
    }
    trip = json.loads((Path(schemas.__file__).parent / "trip.avsc").read_text())
    trip["fields"] = [each for each in trip["fields"] if each["name"] not in fields]
    for name, kind in fields.items():
        trip["fields"].append({"name": name, "type": kind, "doc": "Nullable."})
    trip["fields"][-2]["default"] = 0.5
    trip["fields"][-1]["default"] = None
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "trip.avsc").write_text(json.dumps(trip))
    types = event_types.load(tmp_path / "schemas")
    table = yellow(1)
    for name in fields:
        table = changed(table, name, pa.nulls(1, pa.float64()))
    path = tmp_path / "yellow_tripdata_2018-01.parquet"
    pq.write_table(table, path)
    (line,) = raws(History(str(path), Selection(), {}, types=types).blocks())
    event = json.loads(line or b"")
    assert {name: event.get(name, "absent") for name in fields} == {
        "passenger_count": None,
        "extra": None,
        "congestion_surcharge": "absent",
    }
    assert isinstance(Decoder(types).decode(line), Event)


def test_nothing_is_coerced(tmp_path: Path) -> None:
    table = changed(yellow(3), "passenger_count", pa.array([1.5, None, 1e300]))
    pq.write_table(table, tmp_path / "yellow_tripdata_2018-01.parquet")
    lines = raws(history(tmp_path).blocks())
    reasons = [verdict.reason for verdict in verdicts(lines) if isinstance(verdict, Reject)]
    assert reasons == ["wrong_type", "wrong_type"]
    assert json.loads(lines[1] or b"")["passenger_count"] is None
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
        "yellow_tripdata_2018-01.parquet:2: fare_amount: the number isn't finite",
        "yellow_tripdata_2018-01.parquet:3: fare_amount: the number isn't finite",
    ]


def texts(*values: bytes | None, is_large: bool = False) -> pa.Array:
    """Texts that need not be UTF-8, as a foreign writer may have stored them."""
    kind, binary = (pa.string(), pa.binary())
    if is_large:
        kind, binary = (pa.large_string(), pa.large_binary())
    return pa.Array.from_buffers(kind, len(values), pa.array(values, binary).buffers())


BAD_TEXTS = {
    "string": texts(b"N", b"\xff", None, b"Y"),
    "large string": texts(b"N", b"\xff", None, b"Y", is_large=True),
    "binary": pa.array([b"N", b"\xff", None, b"Y"]),
    "large binary": pa.array([b"N", b"\xff", None, b"Y"], pa.large_binary()),
    "fixed size": pa.array([b"N", b"\xff", None, b"Y"], pa.binary(1)),
    "dictionary": pa.DictionaryArray.from_arrays(
        pa.array([0, 1, None, 2], pa.int8()), texts(b"N", b"\xff", b"Y")
    ),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_a_text_that_is_not_utf_8_is_one_bad_line(tmp_path: Path, name: str) -> None:
    table = changed(yellow(4), "store_and_fwd_flag", BAD_TEXTS[name])
    pq.write_table(table, tmp_path / "yellow_tripdata_2018-01.parquet")
    source = history(tmp_path)
    events = [json.loads(raw or b"") for raw in raws(source.blocks())]
    assert [event["store_and_fwd_flag"] for event in events] == ["N", None, "Y"]
    why = "yellow_tripdata_2018-01.parquet:2: store_and_fwd_flag: not UTF-8"
    assert (source.counts.bad_examples, source.counts.bad_files) == ([why], [])


def test_a_key_or_time_that_cannot_be_is_one_bad_line(tmp_path: Path) -> None:
    table = changed(for_hire(3), "dispatching_base_num", texts(b"B00001", b"\xc3", None))
    pq.write_table(table, tmp_path / "fhv_tripdata_2018-01.parquet")
    source = history(tmp_path, key_field="dispatching_base_num")
    assert [key for block in source.blocks() for key in block.keys] == [b"B00001", None]
    assert source.counts.bad_lines == 1


def test_decimals_are_numbers_of_the_same_digits(tmp_path: Path) -> None:
    digits = ["12.50", "-0.10", "0.00", None, "1234567890123456.78"]
    money = pa.array([None if d is None else Decimal(d) for d in digits], pa.decimal128(18, 2))
    whole = pa.array([Decimal("1.00"), Decimal("1.50"), None, Decimal(2), Decimal(0)])
    table = changed(yellow(5), "fare_amount", money)
    table = changed(table, "passenger_count", whole.cast(pa.decimal128(5, 2)))
    pq.write_table(table, tmp_path / "yellow_tripdata_2018-01.parquet")
    lines = raws(history(tmp_path, key_field="fare_amount").blocks())
    fares = [re.search(rb'"fare_amount":([^,]*)', line or b"") for line in lines]
    expected = ["null" if text is None else text for text in digits]
    assert [(found[1] if found else b"").decode() for found in fares] == expected
    counts = [json.loads(line or b"")["passenger_count"] for line in lines]
    assert [repr(count) for count in counts] == ["1", "1.5", "None", "2", "0"]
    assert isinstance(verdicts(lines)[0], Event)


def test_half_precision_is_a_number(tmp_path: Path) -> None:
    halves = pa.array(np.array([0.5, np.inf], np.float16))
    bad: dict[int, str] = {}
    assert _members([_plain(halves)], TYPES["trip"].field("extra"), bad) == [0.5, np.inf]
    assert bad == {1: "extra: the number isn't finite"}


def test_a_column_of_no_plain_values_is_bad_where_it_has_one(tmp_path: Path) -> None:
    table = changed(yellow(3), "extra", pa.array([[1.0], None, []]))
    pq.write_table(table, tmp_path / "yellow_tripdata_2018-01.parquet")
    source = history(tmp_path)
    assert len(raws(source.blocks())) == 1
    assert source.counts.bad_examples[0].endswith(
        ":1: extra: the column is list<item: double>, not of plain values"
    )


@pytest.mark.parametrize("second", ["extra", "Extra", "EXTRA"])
def test_two_columns_of_one_field_agree_or_the_row_is_bad(tmp_path: Path, second: str) -> None:
    table = changed(yellow(4), "extra", pa.array([0.5, None, 1.0, None]))
    table = table.append_column(second, pa.array([0.5, 2.5, 3.0, None]))
    pq.write_table(table, tmp_path / "yellow_tripdata_2018-01.parquet")
    source = history(tmp_path)
    events = [json.loads(raw or b"") for raw in raws(source.blocks())]
    assert [event["extra"] for event in events] == [0.5, 2.5, None]
    why = "yellow_tripdata_2018-01.parquet:3: extra: two columns have different values"
    assert source.counts.bad_examples == [why]


def test_a_time_given_twice_is_that_of_either_column(tmp_path: Path) -> None:
    table = changed(yellow(2), "tpep_dropoff_datetime", pa.array([FIRST, None], TIME))
    table = table.append_column("Tpep_Dropoff_Datetime", pa.array([None, FIRST], TIME))
    pq.write_table(table, tmp_path / "yellow_tripdata_2018-01.parquet")
    assert seconds(history(tmp_path).blocks()) == [0, 0]


def test_a_first_pickup_beyond_every_calendar_gives_no_month(tmp_path: Path) -> None:
    far = pa.array([2**62, 1_514_764_800_000_000], pa.int64()).cast(TIME)
    pq.write_table(changed(yellow(2), "tpep_pickup_datetime", far), tmp_path / "a.parquet")
    keys = [key for block in history(tmp_path).blocks() for key in block.keys]
    assert keys == [b"120180100000001", b"120180100000002"]


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
