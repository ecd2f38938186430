"""The native decoder answers as Python does, whatever comes, and its absence changes nothing."""

from __future__ import annotations

import importlib
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import UserError
from pipeline.config.model import Decode, Source
from pipeline.decode import native
from pipeline.decode.decoder import Decoder, decoder_of
from pipeline.decode.native import NativeDecoder, described, extension, flat_types
from pipeline.decode.origins import Origins
from pipeline.decode.reference import Accepted, Rule, examine
from pipeline.decode.type_rule import BY_TYPE, TypeRule
from pipeline.events.event_types import of
from pipeline.events.model import PLAIN, EventType, EventTypes
from pipeline.events.schema_files import event_type_of
from tests.decode.corpus import DECODER, KEEPING, NAUGHTY, NOW, RULE, TYPES, VALID, examples, line
from tests.decode.kinds import encoded, schemas
from tests.decode.native_cases import accepted_alike, batches, judged

needs_extension = pytest.mark.skipif(
    extension("auto") is None, reason="the native extension is not installed: no cargo on PATH"
)
MUTATIONS: Final = 1_000_000
TOLD: Final = TypeRule("", constant="event")


def _native(types: Any = TYPES, rule: TypeRule = BY_TYPE, **options: Any) -> Decoder:
    given_ = {"documents": True, "now": lambda: NOW, "native": "required", **options}
    return Decoder(types, type_rule=rule, **given_)


NATIVE: Final = _native() if extension("auto") else DECODER


@needs_extension
def test_a_million_mutations_are_answered_alike() -> None:
    answered = sum(accepted_alike(NATIVE, DECODER, raws) for raws in batches(2018, MUTATIONS))
    assert MUTATIONS // 10 < answered < MUTATIONS


@needs_extension
def test_mutations_that_it_hands_on_keep_their_rows() -> None:
    for raws in batches(7, 6_000, size=2_000):
        assert 0 < judged(NATIVE, DECODER, raws) < len(raws)
        judged(_native(documents=False), Decoder(TYPES, now=lambda: NOW), raws)
        judged(_native(unknown_fields="keep"), KEEPING, raws)


@needs_extension
def test_the_corpora_are_answered_alike() -> None:
    texts = [line(padding=text, store_and_fwd_flag=text) for text in NAUGHTY]
    raws = [None, b"", *(each.raw for each in examples()), *texts, *VALID.values()]
    random.Random(1).shuffle(raws)
    assert judged(NATIVE, DECODER, raws) > 0
    assert judged(NATIVE, DECODER, raws * 3) > 0
    assert judged(NATIVE, DECODER, []) == 0


@needs_extension
def test_what_it_accepts_is_accepted_by_the_reference() -> None:
    for raws in batches(3, 4_000, size=2_000):
        assert NATIVE._native is not None
        accepted = NATIVE._native.accepted(raws, None, NOW)
        assert accepted is not None
        for part in accepted.parts:
            columns = {name: column.to_pylist() for name, column in part.table.columns.items()}
            for at, row in enumerate(part.table.rows.tolist()):
                verdict = examine(raws[row], RULE)
                assert isinstance(verdict, Accepted), raws[row]
                for field in part.event_type.fields:
                    if field.kind != "timestamp":
                        given_ = verdict.members.get(field.name, field.default)
                        assert columns[field.name][at] == given_


@needs_extension
@settings(max_examples=500, deadline=None)
@given(st.data())
def test_events_of_any_schema_are_answered_alike(data: st.DataObject) -> None:
    event_type, events = data.draw(schemas())
    types = of([event_type])
    rows = data.draw(st.lists(events, min_size=1, max_size=5))
    raws = [encoded(event) for event, _ in rows]
    changed = [_changed(raw, data) for raw in raws]
    told = _native(types, TOLD)
    python = Decoder(types, type_rule=TOLD, documents=True, now=lambda: NOW)
    answered = judged(told, python, [*raws, *changed])
    if any(field.kind not in PLAIN for field in event_type.fields):
        assert answered == 0


def _changed(raw: bytes, data: st.DataObject) -> bytes:
    at = data.draw(st.integers(0, len(raw)))
    return raw[:at] + data.draw(st.binary(max_size=2)) + raw[at + data.draw(st.integers(0, 2)) :]


@needs_extension
def test_types_may_be_told_by_headers() -> None:
    rule = TypeRule("", header="kind")
    names = ["trip", None, "watermark", "fhv_trip", "no", *VALID]
    raws: Sequence[bytes] = [
        VALID["trip"],
        VALID["trip"],
        b"{}",
        VALID["trip"],
        b"",
        *VALID.values(),
    ]
    python = Decoder(TYPES, type_rule=rule, documents=True, now=lambda: NOW)
    assert judged(_native(rule=rule), python, raws, Origins(names)) == 1 + len(VALID)


@needs_extension
def test_texts_that_python_checks_are_handed_on() -> None:
    trip = TYPES["trip"]
    [flag] = [field for field in trip.fields if field.name == "store_and_fwd_flag"]
    fields = [
        replace(flag, enum=(), max_length=9, pattern="^[YN]$") if field == flag else field
        for field in trip.fields
    ]
    types = of([replace(trip, fields=tuple(fields))])
    python = Decoder(types, documents=True, now=lambda: NOW)
    flags = ["Y", "N", "YN", "y", "", "Y\n", None, "Y"]
    assert judged(_native(types), python, [line(store_and_fwd_flag=each) for each in flags]) == 4
    assert judged(_native(types), python, [line(store_and_fwd_flag="zz")]) == 0


@pytest.mark.parametrize("text", ["%", "/", "a", "\u00e9", "\U0001f600"])
@pytest.mark.parametrize("name", ["e", "e" * 64])
@pytest.mark.parametrize("part", ["type", "number", "moment"])
def test_ids_are_as_long_as_opensearch_takes(text: str, name: str, part: str) -> None:
    schema = _of_two_parts(name, part)
    rule = Rule(schema, 1_000_000, "refuse", NOW)
    decoders = [
        Decoder(schema, documents=True, now=lambda: NOW, native=wanted)
        for wanted in (("off", "required") if extension("auto") else ("off",))
    ]
    for length in (1, 100, 110, 117, 118, 140, 149, 150, 158, 170, 230, 460, 512):
        event = {"type": name, "number": 7, "moment": "2018-01-01T00:00:00Z", "k": text * length}
        raw = json.dumps(event, ensure_ascii=False).encode()
        found = [decoder.decode_batch([raw]).kind[0] for decoder in decoders]
        expected = "event" if isinstance(examine(raw, rule), Accepted) else "reject"
        assert set(found) == {expected}, length


def _of_two_parts(name: str, part: str) -> EventTypes:
    fields: list[dict[str, Any]] = [
        {"name": "type", "type": "string"},
        {"name": "number", "type": "long"},
        {"name": "moment", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "k", "type": "string"},
    ]
    schema = {
        "type": "record",
        "name": "E",
        "doc": "An event.",
        "eventType": name,
        "version": 1,
        "id": [part, "k"],
        "eventTime": "moment",
        "versionTime": "moment",
        "partitionBy": [{"name": "day", "from": "moment", "transform": "day"}],
        "fields": [{**field, "doc": "A field."} for field in fields],
    }
    event_type = event_type_of(Path(f"{name}.avsc"), schema)
    assert isinstance(event_type, EventType)
    return of([event_type])


class Broken:
    """A decoder that answers with one value changed in its last place."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def decode(self, raws: Any, bounds: Any, types: Any) -> Any:
        parts, rest = self._real.decode(raws, bounds, types)
        return [self._changed(*part) for part in parts], rest

    def _changed(self, at: int, rows: Any, columns: list[Any], documents: Any) -> Any:
        doubles = [place for place, each in enumerate(columns) if pa.types.is_float64(each.type)]
        bits = columns[doubles[0]].view(pa.int64()).to_pylist()
        columns[doubles[0]] = pa.array([*bits[:-1], bits[-1] ^ 1], pa.int64()).view(pa.float64())
        return at, rows, columns, documents


@needs_extension
def test_a_broken_decoder_is_found_out() -> None:
    broken = _native()
    assert broken._native is not None
    broken._native._decoder = Broken(broken._native._decoder)
    with pytest.raises(AssertionError, match="values of trip.trip_distance"):
        judged(broken, DECODER, [VALID["trip"]] * 3)


class Failing:
    """A decoder that fails on each batch."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def decode(self, raws: Any, bounds: Any, types: Any) -> Any:
        raise self._error


@needs_extension
@pytest.mark.parametrize("error", [None, RuntimeError, AttributeError, pa.ArrowException])
def test_a_failure_is_counted_and_python_answers(
    error: type[Exception] | None, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[int] = []
    failing = _native(on_native_failure=lambda: failures.append(1))
    assert failing._native is not None
    error = error or importlib.import_module(native.MODULE).NativeFailure
    failing._native._decoder = Failing(error("s3cr3t"))
    for _ in range(2):
        assert judged(failing, DECODER, [VALID["trip"], b"{"]) == 0
    assert len(failures) == 2
    assert [f"native decoder: {error.__name__}" in text for text in caplog.messages] == [True]
    assert "s3cr3t" not in caplog.text


def test_without_the_extension_python_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "MODULE", "no_such_module")
    source = Source(kafka_topics=("any",))
    assert judged(decoder_of(Decode(), source, TYPES, now=lambda: NOW), DECODER, [b"{"]) == 0
    assert described(TYPES, BY_TYPE, "auto").startswith("decode: Python, which is slower than")
    with pytest.raises(UserError, match=r"decode\.native: required, but .*no_such_module.* cargo"):
        decoder_of(Decode(native="required"), source, TYPES)
    with pytest.raises(UserError, match=r"decode\.native: required"):
        described(TYPES, BY_TYPE, "required")


@needs_extension
def test_an_extension_of_another_version_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "__version__", "0.0.1")
    assert extension("auto") is None
    with pytest.raises(UserError, match=r"its version is .*, and the application's 0\.0\.1"):
        extension("required")


@needs_extension
def test_the_plan_says_which_decoder_decodes_what() -> None:
    assert described(TYPES, BY_TYPE, "off") == "decode: Python (decode.native: off)"
    assert described(TYPES, TypeRule("a.b"), "auto").startswith("decode: Python, as the native")
    said = described(TYPES, BY_TYPE, "auto")
    assert said.startswith("decode: native ") and "for fhv_trip, green_trip, trip, Python" in said


@needs_extension
def test_a_type_that_it_does_not_know_is_left_out() -> None:
    trip = TYPES["trip"]
    nested = replace(trip.fields[-1], kind="float")
    types = of([replace(trip, fields=(*trip.fields[:-1], nested)), TYPES["fhv_trip"]])
    assert [each.event_type.name for each in flat_types(types, BY_TYPE)] == ["fhv_trip"]
    assert "; Python for trip" in described(types, BY_TYPE, "auto")
    raws = [*VALID.values()]
    assert judged(_native(types), Decoder(types, documents=True, now=lambda: NOW), raws) == 1


@needs_extension
def test_types_that_the_extension_refuses_are_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "plan_of", lambda *_, **__: {"no": "plan"})
    assert Decoder(TYPES, native="auto")._native is None
    with pytest.raises(UserError, match=r"decode\.native: required, but the extension says"):
        Decoder(TYPES, native="required")


def test_a_constant_leaves_one_type_or_none() -> None:
    for constant, names in (("trip", ["trip"]), ("watermark", []), ("", list(TYPES.names))):
        rule = TypeRule("" if constant else "type", constant=constant)
        assert [each.event_type.name for each in flat_types(TYPES, rule)] == names


@needs_extension
def test_nothing_is_native_unless_asked_for() -> None:
    for wanted, found in (("off", type(None)), ("auto", NativeDecoder)):
        assert type(Decoder(TYPES, native=wanted)._native) is found  # type: ignore[arg-type]
    assert Decoder(TYPES)._native is None
