"""The generated data set: the same for the same seed, realistic, and read by our own decoder."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from connectors.errors import UserError
from pipeline.cli import app
from pipeline.decode.decoder import Decoder, Event
from pipeline.events.event_types import load
from pipeline.ops.generate.trips import Span, Trips, trips
from pipeline.ops.generate.write import write_lines, write_tlc
from pipeline.ops.replay.history import History
from pipeline.ops.replay.selection import Selection

SCHEMAS = Path(__file__).parents[3] / "schemas"
EVENTS = 6_000
CODECS = {"none": None, "gz": "gzip", "zst": "zstd", "lz4": "lz4", "bz2": "bz2"}


def data_set() -> Iterator[Trips]:
    return trips(EVENTS, seed=3, span=Span("2018-12", 2))


def digest(paths: list[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def lines_of(paths: list[Path], compress: str) -> list[bytes]:
    lines: list[bytes] = []
    for path in paths:
        with pa.input_stream(str(path), compression=CODECS[compress]) as stream:
            lines += stream.read().splitlines()
    return lines


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    digests = []
    for number, seed in enumerate((1, 1, 2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        digests.append(digest(write_lines(trips(500, seed), folder)))
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("compress", CODECS)
def test_every_line_is_an_event_in_order_of_dropoff(tmp_path: Path, compress: str) -> None:
    written = write_lines(data_set(), tmp_path, compress=compress, lines_a_file=2_500)
    assert [path.name.split(".")[0] for path in written] == [f"trips-{n:05d}" for n in range(3)]
    lines = lines_of(written, compress)
    decoded = Decoder(load(SCHEMAS)).decode_batch(lines)
    assert set(decoded.kind.tolist()) == {"event"}
    assert len(lines) == EVENTS
    events = [json.loads(line) for line in lines]
    dropoffs = [event["dropoff_datetime"] for event in events]
    assert dropoffs == sorted(dropoffs)
    assert "2018-12" <= min(event["pickup_datetime"] for event in events)
    assert max(dropoffs) < "2019-02"
    assert len({event["trip_id"] for event in events}) == EVENTS


def test_the_day_has_a_beat_zones_are_popular_and_fares_follow_the_distance() -> None:
    block = next(iter(trips(40_000, seed=5)))
    yellow = block.of_type["trip"]
    hours = Counter(
        datetime.fromtimestamp(each / 1000, UTC).hour for each in yellow["dropoff_datetime"]
    )
    assert hours[18] > 3 * hours[4]
    zones = sorted(Counter(yellow["pickup_location_id"].tolist()).values(), reverse=True)
    assert sum(zones[:50]) > 0.8 * sum(zones)
    assert np.corrcoef(yellow["trip_distance"], yellow["fare_amount"])[0, 1] > 0.9


def test_tlc_files_have_the_columns_of_tlc_by_colour_and_month(tmp_path: Path) -> None:
    written = write_tlc(data_set(), tmp_path)
    assert [path.name for path in written] == [
        f"{colour}_tripdata_{month}.parquet"
        for colour in ("fhv", "green", "yellow")
        for month in ("2018-12", "2019-01")
    ]
    tables = {path.name: pq.read_table(path) for path in written}
    assert sum(table.num_rows for table in tables.values()) == EVENTS
    yellow = tables["yellow_tripdata_2018-12.parquet"]
    assert yellow.schema.field("tpep_pickup_datetime").type == pa.timestamp("us")
    assert {"VendorID", "RatecodeID", "PULocationID", "DOLocationID"} <= set(yellow.column_names)
    assert "trip_id" not in yellow.column_names


def test_tlc_files_are_events_and_some_are_flex_fares(tmp_path: Path) -> None:
    write_tlc(data_set(), tmp_path)
    source = History(str(tmp_path), Selection(), {})
    lines = [raw or b"" for block in source.blocks() for raw in block.raws]
    decoded = Decoder(load(SCHEMAS)).decode_batch(lines)
    assert (len(lines), set(decoded.kind.tolist())) == (EVENTS, {"event"})
    assert source.counts.columns_left_out == {"trip": set(), "green_trip": set(), "fhv_trip": set()}
    events = list(map(json.loads, lines))
    nulls = ("passenger_count", "ratecode_id", "store_and_fwd_flag")
    for event_type, payment in (("trip", 0), ("green_trip", None)):
        metered = [event for event in events if event["type"] == event_type]
        flex = [event for event in metered if event["payment_type"] == payment]
        assert 0.02 < len(flex) / len(metered) < 0.06
        for event in metered:
            assert {event[name] is None for name in nulls} == {event in flex}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--from", "2008-12"], "--from is 2008-12 and --months 3; the job refuses times before"),
        (["--from", "2099-01"], "or more than a day in the future"),
        (["--from", "2017-12", "--months", "120"], "--months 120"),
        (["--from", "2018-13"], "--from is '2018-13'; give a month"),
        (["--format", "tlc", "--compress", "gz"], "--compress and --lines are of JSON lines"),
        (["--format", "tlc", "--lines", "5"], "--compress and --lines are of JSON lines"),
    ],
)
def test_an_option_that_the_job_or_the_format_cannot_take_is_refused(
    tmp_path: Path, options: list[str], why: str
) -> None:
    folder = tmp_path / "history"
    with pytest.raises(UserError, match=why):
        CliRunner().invoke(app, ["generate", str(folder), *options], catch_exceptions=False)
    assert not folder.exists()


def test_the_earliest_month_is_generated_and_a_file_is_no_folder(tmp_path: Path) -> None:
    command = ["generate", "--from", "2009-01", "--events", "9"]
    done = CliRunner().invoke(app, [*command, str(tmp_path / "history")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (line, *_) = (tmp_path / "history" / "trips-00000.ndjson").read_bytes().splitlines()
    assert isinstance(Decoder(load(SCHEMAS)).decode(line), Event)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"cannot be written \(Not a directory\); give another folder"
    ):
        CliRunner().invoke(app, [*command, str(tmp_path / "file")], catch_exceptions=False)


def test_the_command_makes_a_folder_and_refuses_a_full_one(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    command = ["generate", str(folder), "--events", "300", "--compress", "zst", "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.splitlines()[-1])
    assert (report["events"], report["files"]) == (300, 1)
    again = CliRunner().invoke(app, command)
    assert "is not empty" in str(again.exception)
