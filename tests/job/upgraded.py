"""What an upgrade changes: a new event type, a new field, and the records that have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec.structs import replace

from pipeline.demo.made import EVENT, Made
from pipeline.readers import content

SCOOTER: Final = "scooter_trip"
SURCHARGE: Final = "congestion_surcharge"
_AMOUNT: Final = 2.75
_WRAP: Final = 1 << 64


def add_event_type(schemas: Path) -> None:
    """`scooter_trip`, which is a for-hire trip by another name."""
    text = (schemas / "fhv_trip.avsc").read_text().replace("fhv_trip", SCOOTER)
    (schemas / f"{SCOOTER}.avsc").write_text(text)


def add_field(schemas: Path) -> None:
    """Yellow trips gain the nullable field `congestion_surcharge`, in the next version."""
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


def with_surcharge(made: list[Made]) -> list[Made]:
    """The same records, the yellow trips with the new field; every second has null in it."""
    numbered = enumerate(made)
    return [_surcharged(one, n % 2 == 0) if _is(one, "trip") else one for n, one in numbered]


def _is(one: Made, event_type: str) -> bool:
    return one.expect == EVENT and one.event_type == event_type


def _as_scooter(one: Made) -> Made:
    assert one.raw is not None
    raw = one.raw.replace(b'"fhv_trip"', f'"{SCOOTER}"'.encode())
    other = one.content - _checksum("type", "fhv_trip") + _checksum("type", SCOOTER)
    return replace(one, raw=raw, event_type=SCOOTER, content=other % _WRAP)


def _surcharged(one: Made, is_null: bool) -> Made:
    assert one.raw is not None
    value = "null" if is_null else str(_AMOUNT)
    raw = one.raw[:-1] + f',"{SURCHARGE}":{value}}}'.encode()
    added = 0 if is_null else _checksum(SURCHARGE, _AMOUNT)
    return replace(one, raw=raw, content=(one.content + added) % _WRAP)


def _checksum(name: str, value: str | float) -> int:
    """What one value adds to the checksum of its row."""
    kind = object if isinstance(value, str) else np.float64
    return int(content.of_arrays({name: np.array([value], dtype=kind)})[0])
