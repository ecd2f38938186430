"""Mutations of valid events, and the comparison of native decoding with Python's."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
import pyarrow as pa

from pipeline.decode.decoder import Decoded, Decoder
from pipeline.decode.origins import NONE, Origins
from tests.decode.corpus import NOW, VALID, examples

_BYTES: Final = b'0123456789-+.eE"\\,:{}[] \t\n\x00\x1f\x7f\x80\xc2\xa0\xc3\xa9truefalsn/TZ_abc'
_VALUES: Final = (
    *(b"null", b"true", b"false", b'""', b'"x"', b'"Y"', b'"N"', b"[]", b"{}", b'"\xc3\xa9"'),
    *(
        b"0",
        b"-0",
        b"-0.0",
        b"0.0",
        b"1",
        b"-1",
        b"1.0",
        b"1.50",
        b"0.1",
        b"12.345",
        b"1e2",
        b"1E-2",
    ),
    *(
        b"265",
        b"266",
        b"99",
        b"100",
        b"007",
        b"00",
        b"1.",
        b".5",
        b"+1",
        b"2147483647",
        b"2147483648",
    ),
    *(b"9007199254740991", b"9007199254740992", b"9007199254740993.0", b"9223372036854775808"),
    *(b"0.30000000000000004", b"1.0000000000000000001", b"123456789012345678", b"1e-400"),
    *(b"999999.9999999999", b"1000000", b"-1000000.0", b"1000000.0000000001", b"0.000001"),
    *(b"0." + b"0" * 330 + b"1", b"4.35", b"2.675", b"179.99999999999997", b"100000.00000000001"),
    *(b'"2018-01-01T00:21:05Z"', b'"2018-01-01T00:21:05.000Z"', b'"2018-01-01T00:21:05.12Z"'),
    *(b'"2018-02-29T00:00:00Z"', b'"2016-02-29T00:00:00.999Z"', b'"2018-01-01T24:00:00Z"'),
    *(b'"2018-01-01T00:00:60Z"', b'"2018-01-01T00:21:05+00:00"', b'"2008-12-31T23:59:59.999Z"'),
    *(b'"2009-01-01T00:00:00.000Z"', b'"2020-09-14T12:26:40.000Z"'),
    *(b'"2020-09-14T12:26:40.001Z"', b'"2018-13-01T00:00:00Z"', b'"2018-00-10T00:00:00Z"'),
    *(b'"0001-01-01T00:00:00Z"', b'"2018-01-01t00:21:05z"', b'"2018-01-01T00:21:05.0000Z"'),
    *(
        b'"\\u0041"',
        b'"\xc2\x85"',
        b'"a\x7f"',
        b'"\xff"',
        b'"fhv_trip"',
        b'"green_trip"',
        b'"trip"',
    ),
)


def mutations(seed: int) -> Iterator[bytes]:
    """Yield mutations of the valid examples of all types, without an end."""
    chance = random.Random(seed)
    bases = [each.raw for each in examples() if each.expect == "valid"] + [*VALID.values()] * 3
    while True:
        raw = chance.choice(bases)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            raw = chance.choice(_MUTATIONS)(raw, chance)
        yield raw


def _flipped(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) or 1)
    return raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 :] if raw else raw


def _replaced(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + bytes([chance.choice(_BYTES)]) + raw[at + 1 :]


def _inserted(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + bytes([chance.choice(_BYTES)]) + raw[at:]


def _cut_out(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + raw[at + chance.choice((1, 1, 1, 2, 9)) :]


def _digit_changed(raw: bytes, chance: random.Random) -> bytes:
    digits = [at for at, byte in enumerate(raw) if byte in b"0123456789"]
    if not digits:
        return raw
    at = chance.choice(digits)
    return raw[:at] + bytes([chance.choice(b"0123456789")]) + raw[at + 1 :]


def _spaced(raw: bytes, chance: random.Random) -> bytes:
    places = [at for at, byte in enumerate(raw) if byte in b",:{}"]
    if not places:
        return raw
    at = chance.choice(places) + chance.randrange(2)
    return raw[:at] + chance.choice((b" ", b"\n", b"\t\r", b"  ", b"\x0b")) + raw[at:]


def _members(raw: bytes) -> list[bytes]:
    """Return the members of a flat object, as good as commas tell."""
    return raw.strip()[1:-1].split(b",")


def _reordered(raw: bytes, chance: random.Random) -> bytes:
    members = _members(raw)
    chance.shuffle(members)
    return b"{" + b",".join(members) + b"}"


def _doubled(raw: bytes, chance: random.Random) -> bytes:
    members = _members(raw)
    members.insert(chance.randrange(len(members) + 1), chance.choice(members))
    return b"{" + b",".join(members) + b"}"


def _left_out(raw: bytes, chance: random.Random) -> bytes:
    members = _members(raw)
    del members[chance.randrange(len(members))]
    return b"{" + b",".join(members) + b"}"


def _with_value(raw: bytes, chance: random.Random) -> bytes:
    members = _members(raw)
    at = chance.randrange(len(members))
    key, colon, _ = members[at].partition(b":")
    members[at] = key + colon + chance.choice(_VALUES)
    return b"{" + b",".join(members) + b"}"


_MUTATIONS: Final = (
    *(_flipped, _replaced, _inserted, _cut_out, _digit_changed, _digit_changed, _spaced),
    *(_reordered, _doubled, _left_out, _with_value, _with_value, _with_value, _with_value),
)


def differences(native: Decoded, python: Decoded) -> Iterator[str]:
    """Yield where two results differ; doubles are compared bit by bit."""
    for name in ("kind", "event_type", "schema_version", "document_id", "document_version"):
        yield from _differing(name, getattr(native, name), getattr(python, name))
    for name in ("document", "reason", "detail", "unknown"):
        yield from _differing(name, getattr(native, name), getattr(python, name))
    yield from _differing("partition", _partitions(native), _partitions(python))
    if set(native.tables) != set(python.tables):
        yield f"tables: {set(native.tables)} and {set(python.tables)}"
        return
    for event_type, table in python.tables.items():
        found = native.tables[event_type]
        yield from _differing(f"rows of {event_type}", found.rows, table.rows)
        if list(found.columns) != list(table.columns):
            yield f"columns of {event_type}: {list(found.columns)}"
        for name, column in table.columns.items():
            found.columns[name].validate(full=True)
            if found.columns[name].type != column.type:
                yield f"type of {event_type}.{name}: {found.columns[name].type}"
            elif _bits(found.columns[name]) != _bits(column):
                yield f"values of {event_type}.{name}"


def _differing(name: str, found: Any, expected: Any) -> Iterator[str]:
    if len(found) != len(expected):
        yield f"{name}: {len(found)} values, not {len(expected)}"
        return
    rows = np.flatnonzero(np.asarray(found, object) != np.asarray(expected, object))
    if len(rows):
        yield f"{name} of {len(rows)} rows, first {found[rows[0]]!r} for {expected[rows[0]]!r}"


def _partitions(decoded: Decoded) -> list[str]:
    names = [*decoded.partitions, ""]
    return [names[place] for place in decoded.partition.tolist()]


def _bits(column: pa.Array) -> list[Any]:
    if pa.types.is_float64(column.type):
        column = column.view(pa.int64())
    elif pa.types.is_timestamp(column.type):
        column = column.view(pa.int64())
    found: list[Any] = column.to_pylist()
    return found


def judged(
    decoder: Decoder, python: Decoder, raws: Sequence[bytes | None], origins: Origins = NONE
) -> int:
    """Compare what two decoders make of a batch; return how many records native answered.

    Raises:
        AssertionError: the results differ.
    """
    native = decoder.decode_batch(raws, origins)
    found = list(differences(native, python.decode_batch(raws, origins)))
    assert not found, found[:5]
    return native.native


def accepted_alike(decoder: Decoder, python: Decoder, raws: Sequence[bytes]) -> int:
    """Compare the records alone that native answers: all others are Python's in any case."""
    assert decoder._native is not None
    accepted = decoder._native.accepted(raws, None, NOW)
    assert accepted is not None, "the native decoder failed"
    handed_on = set(accepted.rest.tolist())
    alone = [raw for row, raw in enumerate(raws) if row not in handed_on]
    assert judged(decoder, python, alone) == len(alone)
    return len(alone)


def batches(seed: int, records: int, size: int = 10_000) -> Iterator[list[bytes]]:
    """Yield so many mutations in batches."""
    found = mutations(seed)
    for _ in range(0, records, size):
        yield list(islice(found, size))
