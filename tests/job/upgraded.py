"""What an upgrade changes: a new event type, a new field, and the records that have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from dev.demo.made import EVENT, Made

SCOOTER: Final = "scooter_trip"
SURCHARGE: Final = "accessibility_fee"
_AMOUNT: Final = 2.75


def add_event_type(schemas: Path) -> None:
    """`scooter_trip`, which is a for-hire trip by another name."""
    text = (schemas / "fhv_trip.avsc").read_text().replace("fhv_trip", SCOOTER)
    (schemas / f"{SCOOTER}.avsc").write_text(text)


def add_field(schemas: Path) -> None:
    """Yellow trips gain the nullable field `accessibility_fee`, in the next version."""
    path = schemas / "trip.avsc"
    schema: dict[str, Any] = json.loads(path.read_text())
    schema["version"] += 1
    schema["fields"].append(
        {"name": SURCHARGE, "type": ["null", "double"], "default": None, "doc": "In US dollars."}
    )
    path.write_text(json.dumps(schema))


def with_scooters(made: list[Made]) -> list[Made]:
    """The same records, the for-hire trips being scooter trips."""
    return [_as_scooter(one) if _is(one, "fhv_trip") else one for one in made]


def with_surcharge(made: list[Made], since: int) -> list[Made]:
    """The same records, the yellow trips from that id on with the new field; half have null in it.

    A repeat of an earlier trip must stay the same, byte for byte, to be a repeat.
    """
    return [_surcharged(one) if _is(one, "trip") and one.trip_id >= since else one for one in made]


def _is(one: Made, event_type: str) -> bool:
    return one.expect == EVENT and one.event_type == event_type


def _as_scooter(one: Made) -> Made:
    assert one.raw is not None
    raw = one.raw.replace(b'"fhv_trip"', f'"{SCOOTER}"'.encode())
    return replace(one, raw=raw, event_type=SCOOTER)


def _surcharged(one: Made) -> Made:
    assert one.raw is not None
    is_null = one.trip_id % 2 == 0
    value = "null" if is_null else str(_AMOUNT)
    raw = one.raw[:-1] + f',"{SURCHARGE}":{value}}}'.encode()
    return replace(one, raw=raw)
