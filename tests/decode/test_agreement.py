"""Fast path and slow rule agree on whatever may come, and no bytes make the decoder raise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decode.decoder import Decoder, Event, Reject
from pipeline.decode.fault import Fault
from pipeline.decode.reasons import REASONS
from pipeline.decode.reference import Accepted, Rule, examine
from tests.decode.corpus import (
    DECODER,
    KEEPING,
    KEEPING_RULE,
    NAUGHTY,
    RULE,
    TYPES,
    VALID,
    WATERMARK,
    examples,
    line,
)

_BASES = st.sampled_from([*VALID.values(), WATERMARK, line(padding="\u00e9\U0001f695 x")])
_KEYS = st.sampled_from(
    [field.name for event_type in TYPES for field in event_type.fields] + ["watermark", "x", "tip"]
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 0, 1, 265, 266, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63) - 1])
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from([*TYPES.names, "watermark", *NAUGHTY[:-1]])
    | st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat())
)
_VALUES = st.recursive(
    _SCALARS, lambda below: st.lists(below) | st.dictionaries(_KEYS, below), max_leaves=5
)
_ENCODED = st.tuples(_VALUES, st.booleans()).map(
    lambda pair: json.dumps(pair[0], ensure_ascii=pair[1]).encode("utf-8", "surrogatepass")
)


def _assert_agreed(raws: Sequence[bytes], decoder: Decoder = DECODER, rule: Rule = RULE) -> None:
    batch = decoder.decode_batch(raws)
    for row, raw in enumerate(raws):
        verdict = examine(raw, rule)
        if isinstance(verdict, Fault):
            seen = (batch.kind[row], batch.reason[row], batch.detail[row])
            assert seen == ("reject", verdict.reason, verdict.detail), raw
            assert verdict.reason in REASONS
            verdict.detail.encode("ascii")
        else:
            assert batch.kind[row] != "reject", (raw, batch.detail[row])
            _assert_same_values(decoder, raw, verdict)


def _assert_same_values(decoder: Decoder, raw: bytes, verdict: Accepted) -> None:
    event = decoder.decode(raw)
    if not isinstance(event, Event):
        return
    assert event.event_type == verdict.event_type
    event_type = TYPES[event.event_type]
    for field in event_type.fields:
        if field.kind != "timestamp":
            value = verdict.members.get(field.name, field.default)
            assert event.values[field.name] == value
            assert type(event.values[field.name]) is type(value) or field.kind == "double"
    again = decoder.decode(event.document)
    assert isinstance(again, Event) and again.document == event.document


@settings(max_examples=300, deadline=None)
@given(_BASES, st.data())
def test_bytes_changed(raw: bytes, data: st.DataObject) -> None:
    changed = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        changed[at] = data.draw(st.integers(0, 255) | st.sampled_from(list(b'"\\{}[],:0129eE+-. ')))
    _assert_agreed([raw, bytes(changed), raw])


@settings(max_examples=300, deadline=None)
@given(_BASES, st.data())
def test_bytes_inserted_or_cut_out(raw: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 40)))
    inserted = data.draw(st.binary(max_size=6) | st.sampled_from([b'"', b"\\", b'","', b"\\u0000"]))
    _assert_agreed([raw[:start] + inserted + raw[end:]])


@settings(max_examples=250, deadline=None)
@given(_BASES, st.lists(st.tuples(_KEYS, _ENCODED), min_size=1, max_size=3), st.booleans())
def test_members_added_or_given_twice(
    raw: bytes, members: list[tuple[str, bytes]], first: bool
) -> None:
    extra = b",".join(json.dumps(key).encode() + b":" + value for key, value in members)
    changed = b"{" + extra + b"," + raw[1:] if first else raw[:-1] + b"," + extra + b"}"
    _assert_agreed([changed, raw])
    _assert_agreed([changed, raw], KEEPING, KEEPING_RULE)


@settings(max_examples=250, deadline=None)
@given(_BASES, st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=2), st.booleans())
def test_values_of_another_kind(raw: bytes, changes: dict[str, object], ascii_only: bool) -> None:
    event = {**json.loads(raw), **changes}
    text = json.dumps(event, ensure_ascii=ascii_only)
    _assert_agreed([text.encode("utf-8", "surrogatepass")])


@settings(max_examples=200, deadline=None)
@given(_BASES, st.sets(_KEYS, min_size=1, max_size=3))
def test_members_left_out(raw: bytes, names: set[str]) -> None:
    event = {key: value for key, value in json.loads(raw).items() if key not in names}
    _assert_agreed([json.dumps(event).encode()])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.none() | st.binary() | st.text().map(str.encode) | _ENCODED | _BASES))
def test_no_bytes_make_it_raise(raws: list[bytes | None]) -> None:
    for decoder in (DECODER, KEEPING):
        batch = decoder.decode_batch(raws)
        assert len(batch) == len(raws)
        assert set(batch.kind) <= {"event", "control", "reject"}


@pytest.mark.parametrize("raw", [*VALID.values(), WATERMARK, line(padding="\u00e9\U0001f695")])
def test_truncated_at_every_byte(raw: bytes) -> None:
    batch = DECODER.decode_batch([raw[:length] for length in range(len(raw))])
    assert batch.reason.tolist() == ["empty_payload"] + ["truncated_json"] * (len(raw) - 1)


def test_truncated_at_every_byte_with_escapes_and_all_literals() -> None:
    raw = rb'{"a":"\u00e9\ud83d\ude00\n","b":[true,false,null,-1.5e+10,0.25E-3]}'
    for length in range(1, len(raw)):
        outcome = DECODER.decode(raw[:length])
        assert isinstance(outcome, Reject) and outcome.reason == "truncated_json", raw[:length]


def test_a_bit_flipped_at_every_place() -> None:
    raw = VALID["trip"]
    _assert_agreed(
        [
            raw[:at] + bytes([raw[at] ^ (1 << bit)]) + raw[at + 1 :]
            for at in range(len(raw))
            for bit in range(8)
        ]
    )


@pytest.mark.parametrize("depth", [10, 31, 32, 33, 100, 1000, 100_000])
@pytest.mark.parametrize(("start", "end"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_nested(depth: int, start: bytes, end: bytes) -> None:
    nest = start * depth + b"1" + end * depth
    raws = [nest, line()[:-1] + b',"padding":' + nest + b"}", line()[:-1] + b',"x":' + nest + b"}"]
    raws += [start * depth]
    for decoder, rule in ((DECODER, RULE), (KEEPING, KEEPING_RULE)):
        _assert_agreed(raws, decoder, rule)
    if depth > 32:
        assert set(DECODER.decode_batch(raws).reason) == {"nested_too_deep"}


@pytest.mark.parametrize(
    "start",
    [
        b"\xf3\x89\x9a\xc2",
        b"\x1f\x8b\x08\x00",
        b"\x28\xb5\x2f\xfd",
        b"\x04\x22\x4d\x18",
        b"\xef\xbb\xbf",
    ],
)
def test_other_formats_are_named(start: bytes) -> None:
    outcome = DECODER.decode(start + VALID["trip"])
    assert isinstance(outcome, Reject) and "begins like" in outcome.detail
    assert outcome.reason in ("kpl_aggregated", "invalid_utf8", "invalid_json")


@pytest.mark.parametrize("length", [4, 5, 1_000_000, 1_000_001])
def test_a_kpl_aggregate_is_named_whatever_its_size(length: int) -> None:
    raw = b"\xf3\x89\x9a\xc2".ljust(length, b"\x0a")
    _assert_agreed([VALID["trip"], raw])
    found = DECODER.decode_batch([VALID["trip"], raw])
    assert found.reason.tolist() == [None, "kpl_aggregated"]
    assert f"saw {length} bytes" in found.detail[1]


def test_less_than_the_magic_of_a_kpl_aggregate_is_none() -> None:
    _assert_agreed([b"\xf3\x89\x9a", b"\xf3\x89\x9a\xc3{}", b" \xf3\x89\x9a\xc2"])
    reasons = DECODER.decode_batch([b"\xf3\x89\x9a", b" \xf3\x89\x9a\xc2"]).reason.tolist()
    assert "kpl_aggregated" not in reasons


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_other_encodings(encoding: str) -> None:
    _assert_agreed([VALID["trip"].decode().encode(encoding)])
    assert DECODER.decode_batch([VALID["trip"].decode().encode(encoding)]).kind[0] == "reject"


@pytest.mark.parametrize(
    "year", ["-001", "0000", "0001", "1969", "1970", "2008", "2009", "9999", "10000"]
)
def test_years(year: str) -> None:
    _assert_agreed([line(pickup_datetime=f"{year}-01-01T00:00:00.000Z")])
    decoded = DECODER.decode_batch([line(pickup_datetime=f"{year}-06-01T00:00:00Z")])
    assert (decoded.kind[0] == "event") == (year == "2009")


def test_the_slow_rule_explains_every_refusal_of_the_examples() -> None:
    _assert_agreed([example.raw for example in examples()])
    _assert_agreed([example.raw for example in examples()], KEEPING, KEEPING_RULE)


@pytest.mark.parametrize("digits", [10, 19, 20, 400, 5000, 50_000])
def test_long_numbers(digits: int) -> None:
    number = b"9" * digits
    for old in (b"4071441", b"4.5", b'"vendor_id": 1'):
        new = b'"vendor_id": ' + number if old.startswith(b'"') else number
        _assert_agreed(
            [VALID["trip"].replace(old, new, 1), VALID["trip"].replace(old, b"-" + new, 1)]
        )
    _assert_agreed([VALID["trip"].replace(b"4.5", b"0." + number, 1)])


_SMALLEST = b"4.94065645841246544e-324"
_ZEROS = b"0" * 400


@pytest.mark.parametrize(
    ("number", "accepted"),
    [
        *((zero, True) for zero in (b"0", b"-0", b"0.0", b"-0.0e-0", b"0e-400", b"0E-99999")),
        *((b"0." + _ZEROS + end, True) for end in (b"", b"e-5", b"0E9")),
        *((tiny, True) for tiny in (_SMALLEST, b"2.5e-324", b"1E-300", b"2.2e-308", b"3e-0323")),
        *((b"0." + _ZEROS + b"1" + end, True) for end in (b"e100", b"E+399")),
        *((lost, False) for lost in (b"1e-400", b"-1E-400", b"2.4e-324", b"2e-324", b"1e-00400")),
        *((b"0." + _ZEROS + b"1" + end, False) for end in (b"", b"e-1", b"E-99", b"e10")),
        *((b"0." + b"0" * zeros + b"1e-99", False) for zeros in (225, 230, 300)),
        (b"0." + b"0" * 224 + b"1e-98", True),
        (b"9" * 50 + b"e-400", False),
        (b"9" * 90 + b"e-400", True),
    ],
)
def test_a_number_that_only_underflows_to_zero_is_refused(number: bytes, accepted: bool) -> None:
    for space in (b"", b" ", b"\n"):
        raw = line().replace(b'"extra":0.5', b'"extra":' + space + number)
        _assert_agreed([line(), raw, line(padding="1e-400")])
        decoded = DECODER.decode_batch([line()] * 600 + [raw] + [line()] * 600)
        expected = None if accepted else "out_of_range"
        assert decoded.reason.tolist() == [None] * 600 + [expected] + [None] * 600
        _assert_agreed([line()[:-1] + b',"x":[' + space + number + b"]}"], KEEPING, KEEPING_RULE)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 999),
    st.integers(0, 340),
    st.sampled_from(["e", "E"]),
    st.integers(-420, 3),
)
def test_small_numbers(digits: int, zeros: int, letter: str, exponent: int) -> None:
    number = f"0.{'0' * zeros}{digits}{letter}{exponent}".encode()
    raw = line().replace(b'"extra":0.5', b'"extra":' + number)
    assert raw != line()
    _assert_agreed([raw])
    assert (DECODER.decode_batch([raw]).kind[0] == "event") == (digits == 0 or float(number) > 0)


def test_a_batch_in_which_every_record_has_an_escape() -> None:
    raws = [line().replace(b'"N"', b'"\\u004e"')] * 300 + [line()] * 300
    assert set(DECODER.decode_batch(raws).kind) == {"event"}


def test_duplicates_are_found_wherever_they_are_in_a_batch() -> None:
    bad = line().replace(b'"extra":0.5', b'"extra":0.5,"extra":0.5')
    for count in (1, 2, 127, 128, 129, 257):
        for at in {0, 1, count // 2, count - 1} & set(range(count)):
            raws = [line()] * count
            raws[at] = bad
            reasons = DECODER.decode_batch(raws).reason.tolist()
            assert [row for row, reason in enumerate(reasons) if reason] == [at]
            assert reasons[at] == "duplicate_key"
