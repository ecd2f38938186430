"""Each line of the examples files does what it says, and the schema files are Avro."""

from __future__ import annotations

import json
from pathlib import Path

import fastavro
import pytest

from pipeline.decode.columns import numpy_of
from pipeline.decode.decoder import Decoder, Event, Reject
from pipeline.decode.reference import Accepted, examine
from pipeline.events.event_types import load
from tests.decode.corpus import DECODER, NOW, RULE, SCHEMAS, TYPES, Example, examples


@pytest.mark.parametrize(
    "example", list(examples()), ids=lambda each: f"{each.event_type}: {each.why}"
)
def test_example(example: Example) -> None:
    outcome = DECODER.decode(example.raw)
    if example.expect == "valid":
        assert isinstance(outcome, Event), outcome
        assert outcome.event_type == example.event_type
        assert isinstance(examine(example.raw, RULE), Accepted)
    else:
        assert isinstance(outcome, Reject), outcome
        assert outcome.reason == example.expect, outcome.detail


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.avsc")), ids=lambda path: path.stem)
def test_schema_is_avro(path: Path) -> None:
    schema = json.loads(path.read_text())
    fastavro.parse_schema(schema)
    assert path.stem == schema["eventType"]
    if not schema.get("control"):
        assert (SCHEMAS / f"{path.stem}.examples.ndjson").exists()


def test_yellow_has_the_twenty_fields_of_the_original_and_the_fees_since() -> None:
    names = (
        "trip_id type vendor_id pickup_datetime dropoff_datetime passenger_count trip_distance"
        " ratecode_id store_and_fwd_flag pickup_location_id dropoff_location_id payment_type"
        " fare_amount extra mta_tax tip_amount tolls_amount improvement_surcharge total_amount"
        " padding congestion_surcharge airport_fee cbd_congestion_fee"
    )
    assert [field.name for field in TYPES["trip"].fields] == names.split()


def test_a_fourth_event_type_is_a_schema_and_its_examples(tmp_path: Path) -> None:
    for path in SCHEMAS.glob("*.*"):
        if path.suffix != ".py":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "ferry_trip.avsc").write_text(json.dumps(_FERRY))
    (tmp_path / "ferry_trip.examples.ndjson").write_text(_FERRY_EXAMPLES)

    types = load(tmp_path)
    decoder = Decoder(types, documents=True, now=lambda: NOW)

    assert types.names == ("ferry_trip", "fhv_trip", "green_trip", "trip")
    outcomes = [(example.expect, decoder.decode(example.raw)) for example in examples(tmp_path)]
    for expect, outcome in outcomes:
        assert expect == (outcome.reason if isinstance(outcome, Reject) else "valid")
    ferry = next(each for _, each in outcomes if isinstance(each, Event))
    assert ferry.values["vessel"] == "Ocean Queen Rockstar" and ferry.values["full"] is True
    assert ferry.partition == "ferry_trip/pier_no=7/is_full=true/day=2018-03-01"
    assert ferry.document_id == "EF-1"
    assert decoder.decode(ferry.document) == ferry
    batch = decoder.decode_batch([example.raw for example in examples(tmp_path)])
    reported = numpy_of(batch.tables["ferry_trip"].columns["reported"])
    assert [str(each) for each in reported[:3]] == ["NaT", "2018-03-02T00:00:00.000", "NaT"]


_TIME = {"type": "long", "logicalType": "timestamp-millis"}
_FERRY = {
    "type": "record",
    "name": "FerryTrip",
    "doc": "A crossing of a ferry.",
    "eventType": "ferry_trip",
    "version": 3,
    "id": "crossing",
    "eventTime": "departed",
    "versionTime": "landed",
    "partitionBy": [
        {"name": "pier_no", "from": "pier"},
        {"name": "is_full", "from": "full"},
        {"name": "day", "from": "departed", "transform": "day"},
    ],
    "fields": [
        {"name": "crossing", "type": "string", "doc": "Its number."},
        {"name": "type", "type": "string", "doc": "Always ferry_trip."},
        {"name": "departed", "type": _TIME, "doc": "When."},
        {"name": "landed", "type": _TIME, "doc": "When."},
        {"name": "reported", "type": ["null", _TIME], "default": None, "doc": "When."},
        {"name": "pier", "type": "int", "minimum": 0, "maximum": 99, "doc": "Where."},
        {"name": "vessel", "type": "string", "doc": "Its name."},
        {"name": "full", "type": "boolean", "doc": "Whether nobody else could board."},
        {"name": "trip_distance", "type": "int", "doc": "In metres, unlike a taxi's."},
    ],
}
_CROSSING = {
    "crossing": "EF-1",
    "type": "ferry_trip",
    "departed": "2018-02-28T20:00:00.000-05:00",
    "landed": "2018-03-01T01:30:00.000Z",
    "pier": 7,
    "vessel": "Ocean Queen Rockstar",
    "full": True,
    "trip_distance": 8_200,
}
_FERRY_EXAMPLES = "\n".join(
    json.dumps({"why": why, "event": {**_CROSSING, **change}, "expect": expect})
    for why, change, expect in (
        ("a crossing", {}, "valid"),
        ("with a report", {"reported": "2018-03-02T00:00:00Z"}, "valid"),
        ("without one", {"reported": None}, "valid"),
        ("a bad report", {"reported": "soon"}, "invalid_timestamp"),
        ("no number", {"crossing": ""}, "out_of_range"),
        ("as long a number as there may be", {"crossing": "\u00e9" * 256}, "valid"),
        ("a longer number", {"crossing": "x" * 513}, "out_of_range"),
        ("a number of too many bytes", {"crossing": "\u00e9" * 257}, "out_of_range"),
        ("a number of two lines", {"crossing": "EF\n1"}, "control_character"),
        ("a pier too far", {"pier": 100}, "out_of_range"),
        ("full of what", {"full": 1}, "wrong_type"),
        ("beyond 32 bits", {"trip_distance": 2**31}, "out_of_range"),
        ("beyond 64 bits", {"trip_distance": 2**64}, "integer_overflow"),
    )
)
