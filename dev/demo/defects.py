"""Every defect a record can have, each with the reason code it must be rejected with.

The reasons are spelled out here: expectations must not come from the decoder under test.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dev.demo.made import Made, encode, key_of

Row = dict[str, Any]
Damage = Callable[[Row, random.Random], bytes | None]

TOO_LARGE: Final = "record_too_large"
OVERSIZED: Final = 20
"""At most so many over-large records: each is about a megabyte."""

_EVERY: Final = ("trip", "green_trip", "fhv_trip")
_METERED: Final = ("trip", "green_trip")
_TIMES: Final = ("pickup_datetime", "dropoff_datetime")
_ZONES: Final = ("pickup_location_id", "dropoff_location_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One defective record to make of a row of `event_type`, sent after trip number `after`."""

    number: int
    after: int
    reason: str
    event_type: str
    seed: int


class Plan:
    """Which defects go where: the reasons take turns, the places are random."""

    def __init__(self, rng: np.random.Generator, events: int, share: float) -> None:
        count = round(events * share)
        self._places = ((np.arange(count) + rng.random(count)) * events / max(count, 1)).astype(int)
        self._seeds = rng.integers(0, 2**62, count)
        self._reasons = rng.permutation(_turns(count))

    def between(self, first: int, end: int) -> list[Defect]:
        """Return the defects due after the trips from `first` to before `end`."""
        low, high = np.searchsorted(self._places, [first, end])
        return [self._defect(number) for number in range(low, high)]

    def _defect(self, number: int) -> Defect:
        reason = reasons()[self._reasons[number]]
        types, _ = DEFECTS[reason]
        return Defect(
            number=number,
            after=int(self._places[number]),
            reason=reason,
            event_type=types[number % len(types)],
            seed=int(self._seeds[number]),
        )


def make(defect: Defect, row: Row) -> Made:
    """Make the defective record of that valid row."""
    _, damage = DEFECTS[defect.reason]
    raw = damage(row, random.Random(defect.seed))
    return Made(raw, key_of(row["trip_id"]), defect.reason)


def reasons() -> tuple[str, ...]:
    """Return all reasons that the generator makes records for."""
    return tuple(DEFECTS)


def _turns(count: int) -> NDArray[np.int64]:
    """Return `count` codes of reasons, as evenly spread as the few oversized ones allow."""
    large = reasons().index(TOO_LARGE)
    small = np.array([code for code in range(len(DEFECTS)) if code != large])
    oversized = min(OVERSIZED, count // len(DEFECTS))
    others = small[np.arange(count - oversized) % len(small)]
    return np.concatenate([np.full(oversized, large), others])


def _literal(row: Row, name: str, text: str) -> bytes:
    """Encode the row with that text as the field's value, be it JSON or not."""
    marker = "\u2603"
    return encode({**row, name: marker}).replace(f'"{marker}"'.encode(), text.encode())


def _empty(row: Row, draw: random.Random) -> bytes | None:
    return draw.choice((b"", None, b" \n"))


def _too_large(row: Row, draw: random.Random) -> bytes:
    # Over the decoder's 1,000,000 bytes, under the broker's 1,048,588.
    return encode({**row, "padding": "x" * draw.randint(1_000_001, 1_040_000)})


def _aggregated(row: Row, draw: random.Random) -> bytes:
    # The checksum at the end is wrong, so that nothing on the way takes it apart.
    return b"\xf3\x89\x9a\xc2" + encode(row) + draw.randbytes(16)


def _bad_utf8(row: Row, draw: random.Random) -> bytes:
    bad = draw.choice((b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"))
    return (
        encode(row)
        .replace(b'_trip"', b"_" + bad + b'trip"')
        .replace(b'"trip"', b'"' + bad + b'trip"')
    )


def _truncated(row: Row, draw: random.Random) -> bytes:
    raw = encode(row)
    return raw[: draw.randint(1, len(raw) - 1)]


def _not_json(row: Row, draw: random.Random) -> bytes:
    raw = encode(row)
    return draw.choice(
        (
            raw.replace(b'":', b'"=', 1),
            raw.replace(b'"', b"'"),
            raw.replace(b",", b",,", 1),
            raw + b"}",
            raw + raw,
            raw[:-1] + b",}",
        )
    )


def _no_object(row: Row, draw: random.Random) -> bytes:
    return draw.choice((b"[" + encode(row) + b"]", b"[]", b'"trip"', b"42", b"null", b"true"))


def _deep(row: Row, draw: random.Random) -> bytes:
    depth = draw.randint(2_000, 20_000)
    return _literal(row, "dropoff_location_id", "[" * depth + "]" * depth)


def _twice(row: Row, draw: random.Random) -> bytes:
    name = draw.choice(sorted(row.keys() - {"type"}))
    value = encode(row[name])
    return encode(row)[:-1] + b',"' + name.encode() + b'":' + value + b"}"


def _without(row: Row, draw: random.Random) -> bytes:
    name = draw.choice(("trip_id", *_TIMES, *_ZONES))
    return encode({key: value for key, value in row.items() if key != name})


def _surplus(row: Row, draw: random.Random) -> bytes:
    name = draw.choice(("surge_multiplier", "congestion", "Trip_ID", "__proto__"))
    return encode({**row, name: 1.5})


def _unknown_type(row: Row, draw: random.Random) -> bytes:
    name = draw.choice(
        ("bike_trip", "TRIP", "../trip", ".opendistro_security", "<trip-{now/d}>", "")
    )
    return encode({**row, "type": name})


def _wrong_type(row: Row, draw: random.Random) -> bytes:
    name = draw.choice(_ZONES)
    value: object = draw.choice((str(row[name]), True, 1.5, 41.0, [41], {"id": 41}, None))
    # Of the two, a for-hire trip may lack the zone of dropoff.
    return encode({**row, _ZONES[0] if value is None else name: value})


def _out_of_range(row: Row, draw: random.Random) -> bytes:
    changes: list[Row] = [{name: wrong} for name in _ZONES for wrong in (0, -1, 266, 123_456)]
    if "fare_amount" in row:
        changes += [{"passenger_count": -1}, {"fare_amount": 1e9}, {"store_and_fwd_flag": "X"}]
    else:
        changes += [{"dispatching_base_num": "B123"}, {"dispatching_base_num": "../B02512"}]
    return encode({**row, **draw.choice(changes)})


def _overflow(row: Row, draw: random.Random) -> bytes:
    return _literal(row, "trip_id", draw.choice((str(2**64), str(10**30), str(-(10**25)))))


def _not_finite(row: Row, draw: random.Random) -> bytes:
    value = draw.choice(("NaN", "Infinity", "-Infinity", "1e400", "-1e999"))
    return _literal(row, draw.choice(("fare_amount", "total_amount", "trip_distance")), value)


def _bad_time(row: Row, draw: random.Random) -> bytes:
    value = draw.choice(
        ("2018-01-01 00:21:05", "2018-01-01T00:21:05", "yesterday", "2018-02-30T00:00:00.000Z", "")
    )
    return encode({**row, draw.choice(_TIMES): value})


def _too_fine(row: Row, draw: random.Random) -> bytes:
    name = draw.choice(_TIMES)
    micros = f"{draw.randint(1, 999):03d}"
    return encode({**row, name: row[name].replace("Z", micros + "Z")})


def _absurd_time(row: Row, draw: random.Random) -> bytes:
    value = draw.choice(
        ("1970-01-01T00:00:00.000Z", "2084-11-04T12:32:24.000Z", "9999-12-31T23:59:59.000Z")
    )
    return encode({**row, draw.choice(_TIMES): value})


def _control(row: Row, draw: random.Random) -> bytes:
    text = draw.choice(("N\u0000", "\u0007", "N\n", "\u001b[2J"))
    name = "store_and_fwd_flag" if "store_and_fwd_flag" in row else "dispatching_base_num"
    return encode({**row, name: text})


DEFECTS: Final[dict[str, tuple[tuple[str, ...], Damage]]] = {
    "empty_payload": (_EVERY, _empty),
    TOO_LARGE: (_EVERY, _too_large),
    "kpl_aggregated": (_EVERY, _aggregated),
    "invalid_utf8": (_EVERY, _bad_utf8),
    "truncated_json": (_EVERY, _truncated),
    "invalid_json": (_EVERY, _not_json),
    "not_an_object": (_EVERY, _no_object),
    "nested_too_deep": (_EVERY, _deep),
    "duplicate_key": (_EVERY, _twice),
    "missing_field": (_EVERY, _without),
    "unknown_field": (_EVERY, _surplus),
    "unknown_event_type": (_EVERY, _unknown_type),
    "wrong_type": (_EVERY, _wrong_type),
    "out_of_range": (_EVERY, _out_of_range),
    "integer_overflow": (_EVERY, _overflow),
    "not_finite": (_METERED, _not_finite),
    "invalid_timestamp": (_EVERY, _bad_time),
    "timestamp_precision": (_EVERY, _too_fine),
    "timestamp_out_of_range": (_EVERY, _absurd_time),
    "control_character": (_EVERY, _control),
}
"""Reason code -> the event types that can have it, and how to damage a valid row."""
