"""The decode step: every reason code, batches, columns, documents, watermarks, unknown fields."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.decode.decoder import Control, Decoder, Event, Reject
from pipeline.decode.reasons import REASONS
from pipeline.decode.union import Union
from tests.decode.corpus import (
    DECODER,
    KEEPING,
    NAUGHTY,
    NOW,
    TYPES,
    VALID,
    WATERMARK,
    Example,
    examples,
    line,
)

_DECODE_CODES = [reason.code for reason in REASONS.values() if reason.step == "decode"]
_ELSEWHERE = (
    *("internal_error", "too_many_partitions", "invalid_partition", "invalid_base64"),
    *("avro_magic", "avro_unknown_schema", "avro_undecodable"),
)
"""The job gives the first two where it calls the decoder. No text names a partition of trips, and
they have no bytes: see test_partition.py, test_kinds.py and test_avro_records.py."""

UNION = Union(TYPES)


def _rejected(raw: bytes | None, decoder: Decoder = DECODER) -> Reject:
    outcome = decoder.decode(raw)
    assert isinstance(outcome, Reject), outcome
    return outcome


@pytest.mark.parametrize("code", [code for code in _DECODE_CODES if code not in _ELSEWHERE])
def test_every_reason_is_given(code: str) -> None:
    raws = [example.raw for example in examples() if example.expect == code]
    raws += [line(padding="x" * 1_000_000)] if code == "record_too_large" else []
    assert raws
    for raw in raws:
        found = _rejected(raw)
        assert found.reason == code
        assert found.detail and found.detail.isascii() and found.detail.isprintable()
        assert len(found.detail) < 400


def test_a_reject_knows_its_type_once_it_can_be_read() -> None:
    fault = _rejected(line(vendor_id=-1))
    assert (fault.event_type, fault.schema_version) == ("trip", 2)
    assert "$.vendor_id: saw -1; allowed: 1 to 99" in fault.detail
    assert _rejected(line(extra="x")).event_type == "trip"
    assert _rejected(b'{"type":"trip","a":1,"a":1}').event_type == "trip"
    assert _rejected(b'{"type":"trip"').event_type == ""


def test_the_tlc_name_of_a_field_is_recognised() -> None:
    found = _rejected(line(pickup_location_id=..., PULocationID=41))
    assert "did you mean pickup_location_id?" in found.detail


def test_a_tombstone_is_an_empty_payload() -> None:
    assert "tombstone" in _rejected(None).detail


@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_the_size_limit_is_inclusive(excess: int) -> None:
    decoder = Decoder(TYPES, max_record_bytes=1000, now=lambda: NOW)
    bare = line(padding="")
    raw = line(padding="x" * (1000 + excess - len(bare)))
    assert len(raw) == 1000 + excess
    assert isinstance(decoder.decode(raw), Reject) == (excess > 0)
    kinds = decoder.decode_batch([bare, raw, bare]).kind.tolist()
    assert kinds == ["event", "reject" if excess > 0 else "event", "event"]


def test_times_may_be_a_day_ahead_and_no_more() -> None:
    decoder = Decoder(TYPES, now=lambda: 1_514_764_800_000)
    assert isinstance(decoder.decode(line(dropoff_datetime="2018-01-02T00:00:00.000Z")), Event)
    late = _rejected(line(dropoff_datetime="2018-01-02T00:00:00.001Z"), decoder)
    assert late.reason == "timestamp_out_of_range"
    earliest = line(pickup_datetime="2009-01-01T00:00:00.000Z")
    assert isinstance(decoder.decode(earliest), Event)


def test_one_event() -> None:
    event = DECODER.decode(VALID["trip"])
    assert isinstance(event, Event)
    assert event.partition == "trip/pickup_location=041/year=2018/month=01"
    assert (event.document_id, event.document_version) == ("4071441", 1_514_766_263_000)
    assert event.values["pickup_datetime"] == 1_514_766_065_000
    assert event.values["fare_amount"] == 4.5 and event.values["padding"] == ""
    assert list(event.values) == [field.name for field in TYPES["trip"].fields]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"watermark": "1970-01-01T00:00:00.000Z"}, None),
        ({"watermark": "2018-01-01T01:00:00+01:00"}, None),
        ({"watermark": "1969-12-31T23:59:59.999Z"}, "timestamp_out_of_range"),
        ({"watermark": "2199-01-01T00:00:00.000Z"}, "timestamp_out_of_range"),
        ({"watermark": "soon"}, "invalid_timestamp"),
        ({"watermark": "2018-01-01T00:00:00.0001Z"}, "timestamp_precision"),
        ({"watermark": 0}, "wrong_type"),
        ({"watermark": None}, "wrong_type"),
        ({"trip_id": 1}, "unknown_field"),
    ],
)
def test_watermarks_are_checked_as_strictly(change: dict[str, object], reason: str | None) -> None:
    raw = json.dumps({**json.loads(WATERMARK), **change}).encode()
    outcome = DECODER.decode(raw)
    assert (outcome.reason if isinstance(outcome, Reject) else None) == reason
    assert reason or isinstance(outcome, Control)


def test_a_watermark_is_control() -> None:
    assert DECODER.decode(WATERMARK) == Control("watermark", {"watermark": 1_514_766_263_000})
    assert _rejected(b'{"type":"watermark"}').reason == "missing_field"
    twice = WATERMARK.replace(b"{", b'{"type":"watermark",')
    assert _rejected(twice).reason == "duplicate_key"


def test_a_batch_keeps_the_order_and_says_what_the_scalar_says() -> None:
    raws: list[bytes | None] = [example.raw for example in examples()]
    raws += [None, WATERMARK, *VALID.values()]
    raws *= 3
    batch = DECODER.decode_batch(raws)
    assert len(batch) == len(raws)
    assert sum(len(table.rows) for table in batch.tables.values()) == (batch.kind == "event").sum()
    for row, raw in enumerate(raws):
        outcome = DECODER.decode(raw)
        match outcome:
            case Event():
                assert batch.kind[row] == "event"
                assert batch.event_type[row] == outcome.event_type
                assert batch.document[row] == outcome.document
                assert batch.document_id[row] == outcome.document_id
                assert batch.document_version[row] == outcome.document_version
                assert batch.partitions[batch.partition[row]] == outcome.partition
            case Control():
                assert (batch.kind[row], batch.event_type[row]) == ("control", "watermark")
            case Reject():
                found = (batch.kind[row], batch.reason[row], batch.detail[row])
                assert found == ("reject", outcome.reason, outcome.detail)
                assert (batch.event_type[row], batch.schema_version[row]) == (
                    outcome.event_type,
                    outcome.schema_version,
                )


def test_columns_hold_the_values_of_their_type_and_nothing_elsewhere() -> None:
    batch = DECODER.decode_batch([VALID["trip"], None, VALID["fhv_trip"], VALID["green_trip"]])
    assert {name: table.rows.tolist() for name, table in batch.tables.items()} == {
        "trip": [0],
        "fhv_trip": [2],
        "green_trip": [3],
    }
    columns = {name: UNION.column(batch, name) for name in (each.name for each in TYPES.columns)}
    assert columns["trip_id"].tolist() == [4071441, 0, 9000001, 7000001]
    assert columns["trip_id"].dtype == np.int64
    assert columns["vendor_id"].dtype == np.int32 and columns["vendor_id"].tolist() == [1, 0, 0, 2]
    assert columns["fare_amount"].tolist() == [4.5, 0.0, 0.0, 6.0]
    assert columns["trip_type"].tolist() == [None, None, None, 1]
    assert columns["dispatching_base_num"].tolist() == [None, None, "B00001", None]
    assert columns["type"].tolist() == ["trip", None, "fhv_trip", "green_trip"]
    assert columns["pickup_datetime"].dtype == np.dtype("M8[ms]")
    assert columns["pickup_datetime"].view("i8")[[0, 1]].tolist() == [1_514_766_065_000, 0]


@pytest.mark.parametrize("raws", [[], [None], [WATERMARK], [VALID["trip"]], [b"{", b"["]])
def test_batches_of_one_kind_or_none(raws: list[bytes | None]) -> None:
    assert len(DECODER.decode_batch(raws)) == len(raws)


def test_null_and_left_out_are_the_same_where_null_is_the_default() -> None:
    raws = [
        VALID["green_trip"],
        VALID["green_trip"].replace(b'"ehail_fee": null', b'"ehail_fee": 1'),
    ]
    assert DECODER.decode_batch(raws).tables["green_trip"].columns["ehail_fee"].to_pylist() == [
        None,
        1.0,
    ]


def test_unknown_fields_are_kept_as_canonical_text() -> None:
    raw = line(zeta=[1, {"b": 2, "a": "\u00e9"}], alpha=None)
    event = KEEPING.decode(raw)
    assert isinstance(event, Event)
    assert event.values["unknown_fields"] == '{"alpha":null,"zeta":[1,{"a":"\u00e9","b":2}]}'
    assert b"zeta" not in event.document
    unknown = KEEPING.decode_batch([VALID["trip"], raw, None]).unknown
    assert unknown.tolist() == [None, event.values["unknown_fields"], None]
    assert DECODER.decode_batch([raw]).unknown.tolist() == [None]


def test_numbers_of_unknown_fields_are_kept_as_they_were_written() -> None:
    exact = "0.10000000000000000000000001"
    raw = line()[:-1] + f',"z":[1.50,{{"y":1E+2}}],"a":{exact},"b":-0,"c":5e-324}}'.encode()
    event = KEEPING.decode(raw)
    assert isinstance(event, Event)
    kept = event.values["unknown_fields"]
    assert kept == f'{{"a":{exact},"b":-0,"c":5e-324,"z":[1.50,{{"y":1E+2}}]}}'


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (b'"x":1,"x":1', "duplicate_key"),
        (b'"x":{"y":[{"z":1,"z":2}]}', "duplicate_key"),
        (b'"x":NaN', "not_finite"),
        (b'"x":[1e999]', "not_finite"),
        (b'"x":[1e-400]', "out_of_range"),
        (b'"x":-0.' + b"0" * 330 + b"1", "out_of_range"),
        (b'"x":18446744073709551616', "integer_overflow"),
        (b'"x":"\xff"', "invalid_utf8"),
        (b'"\xff":1', "invalid_utf8"),
        (b'"x":"\\udc00"', "invalid_utf8"),
        (b'"x":"\\u0001"', "control_character"),
        (b'"x\\n":1', "control_character"),
        (b'"x":' + b"[" * 40 + b"]" * 40, "nested_too_deep"),
        (b'"x":01', "invalid_json"),
    ],
)
def test_unknown_fields_are_read_as_strictly(member: bytes, reason: str) -> None:
    raw = VALID["trip"][:-1] + b"," + member + b"}"
    assert _rejected(raw, KEEPING).reason == reason


@pytest.mark.parametrize("text", NAUGHTY, ids=ascii)
def test_naughty_text_comes_back_as_it_was(text: str) -> None:
    for ensure_ascii in (True, False):
        raw = json.dumps(
            {**json.loads(line()), "padding": text}, ensure_ascii=ensure_ascii
        ).encode()
        event = DECODER.decode(raw)
        assert isinstance(event, Event) and event.values["padding"] == text
        assert DECODER.decode(event.document) == event


@pytest.mark.parametrize("text", NAUGHTY, ids=ascii)
@pytest.mark.parametrize(
    "name",
    ["type", "trip_id", "pickup_location_id", "pickup_datetime", "store_and_fwd_flag", "extra"],
)
def test_naughty_text_elsewhere_is_refused(name: str, text: str) -> None:
    assert _rejected(line(**{name: text})).reason in REASONS


@pytest.mark.parametrize("text", NAUGHTY, ids=ascii)
def test_a_naughty_key_is_refused_or_kept(text: str) -> None:
    raw = line(**{text: 1})
    assert _rejected(raw).reason == "unknown_field"
    assert isinstance(KEEPING.decode(raw), Event)


@pytest.mark.parametrize(
    "example", [example for example in examples() if example.expect == "valid"]
)
def test_what_we_write_we_read(example: Example) -> None:
    event = DECODER.decode(example.raw)
    assert isinstance(event, Event)
    assert DECODER.decode(event.document) == event


def test_equal_events_have_equal_documents() -> None:
    first = DECODER.decode(line(padding=""))
    others = [
        line(),
        line(pickup_datetime="2017-12-31T19:21:05-05:00"),
        line(pickup_datetime="2018-01-01T00:21:05Z", extra=0.5),
        line(tip_amount=0),
        b" " + line().replace(b'"N"', b'"\\u004e"'),
    ]
    assert [DECODER.decode(other) for other in others] == [first] * len(others)
