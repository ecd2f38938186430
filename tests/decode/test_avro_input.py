"""Records of Avro and JSON side by side, and what tells their type."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest

from connectors.errors import UserError
from connectors.schema_registry.options import SchemaRegistry
from pipeline.config.model import Decode, Source
from pipeline.decode.avro_input import AvroInput
from pipeline.decode.decoder import Decoder, Event, Reject
from pipeline.decode.origins import Origins
from pipeline.decode.type_rule import TypeRule
from tests.decode.corpus import NOW, TYPES, VALID

WRITER: dict[str, Any] = {
    "type": "record",
    "name": "TripOfSomebody",
    "fields": [
        {"name": name, "type": kind}
        for name, kind in {
            "type": "string",
            "trip_id": "int",
            "vendor_id": "int",
            "pickup_datetime": {"type": "long", "logicalType": "timestamp-millis"},
            "dropoff_datetime": {"type": "long", "logicalType": "timestamp-micros"},
            "passenger_count": ["null", "int"],
            "trip_distance": "float",
            "ratecode_id": ["null", "int"],
            "store_and_fwd_flag": ["null", "string"],
            "PULocationID": "int",
            "DOLocationID": "int",
            "payment_type": "int",
            **dict.fromkeys(
                ("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount"), "double"
            ),
            "improvement_surcharge": ["null", "double"],
            "total_amount": "double",
        }.items()
    ],
}
HEADERS = Source(kafka_topics=("a", "j"), avro=("a",), event_type_header="kind")
FIELD = Source(kafka_topics=("a", "j"), avro=("a",))


def trip(**changed: Any) -> dict[str, Any]:
    event = json.loads(VALID["trip"])
    event["PULocationID"], event["DOLocationID"] = 41, 42
    names = [field["name"] for field in WRITER["fields"]]
    made = {name: event[name] for name in names} | {
        "pickup_datetime": 1_514_766_065_000,
        "dropoff_datetime": 1_514_766_263_000_000,
        "trip_distance": 0.5,
    }
    return made | changed


def framed(record: dict[str, Any], schema_id: int = 7) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(WRITER), record)
    return b"\0" + schema_id.to_bytes(4, "big") + body.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "7.avsc").write_text(json.dumps(WRITER))
    return tmp_path


def read(folder: Path, source: Source, raws: list[bytes | None], origins: Origins) -> list[Any]:
    avro = AvroInput.of(Decode(), source, SchemaRegistry(folder=str(folder)), TYPES)
    assert avro
    brought, origins = avro.read(raws, origins)
    decoder = Decoder(TYPES, type_rule=TypeRule.of(source), documents=True, now=lambda: NOW)
    decoded = decoder.decode_batch(brought, origins)
    singles = [decoder.decode(raw, origins.part(row, row + 1)) for row, raw in enumerate(brought)]
    for row, outcome in enumerate(singles):
        kind = "event" if isinstance(outcome, Event) else "reject"
        assert (decoded.kind[row], decoded.reason[row]) == (kind, getattr(outcome, "reason", None))
    return singles


def test_records_of_avro_and_json_are_the_same_events(folder: Path) -> None:
    event = json.loads(VALID["trip"])
    alike = {**event, "pickup_datetime": "2018-01-01T00:21:05.000Z",
             "dropoff_datetime": "2018-01-01T00:24:23.000Z", "trip_distance": 0.5,
             "pickup_location_id": 41, "dropoff_location_id": 42}  # fmt: skip
    raws: list[bytes | None] = [framed(trip()), json.dumps(alike).encode()]
    one, other = read(folder, FIELD, raws, Origins(places=["a", "j"]))
    assert isinstance(one, Event)
    assert isinstance(other, Event)
    assert one.document == other.document
    assert one.partition == "trip/pickup_location=041/year=2018/month=01"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "empty_payload"),
        (b"", "empty_payload"),
        (VALID["trip"], "avro_magic"),
        (framed(trip(), schema_id=8), "avro_unknown_schema"),
        (framed(trip())[:-1], "avro_undecodable"),
        (framed(trip()) + b"\0", "avro_undecodable"),
        (framed(trip(dropoff_datetime=1_514_766_263_000_001)), "timestamp_precision"),
        (framed(trip(type="tram")), "unknown_event_type"),
        (framed(trip(passenger_count=99)), "out_of_range"),
        (framed(trip(fare_amount=float("nan"))), "not_finite"),
    ],
)
def test_what_is_no_event_says_why(folder: Path, raw: bytes | None, reason: str) -> None:
    (outcome,) = read(folder, FIELD, [raw], Origins(places=["a"]))
    assert isinstance(outcome, Reject)
    assert outcome.reason == reason, outcome.detail


def test_a_header_tells_the_type_and_the_field_is_an_ordinary_one(folder: Path) -> None:
    raws: list[bytes | None] = [framed(trip(type="trip")), framed(trip()), framed(trip())]
    origins = Origins(names=["trip", None, "tram"], places=["a"] * 3)
    event, nothing, unknown = read(folder, HEADERS, raws, origins)
    assert isinstance(event, Event)
    assert nothing.detail.startswith("header kind: saw nothing")
    assert (unknown.reason, unknown.event_type) == ("unknown_event_type", "")


def test_faults_stay_with_their_rows_when_a_batch_is_divided() -> None:
    versions = np.arange(4)
    origins = Origins(["a", "b", "c", "d"], ["0", "1", "2", "3"], versions, ["p"] * 4)
    part = origins.part(1, 3)
    assert (part.names, part.ids, part.places) == (["b", "c"], ["1", "2"], ["p", "p"])
    assert part.versions.tolist() == [1, 2]


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"schema_registry\.folder"):
        AvroInput.of(Decode(), FIELD, SchemaRegistry(folder=str(tmp_path / "no")), TYPES)
