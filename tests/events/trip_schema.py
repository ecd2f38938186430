"""The schema of trips, and changes of it, for the tests of the schema reader."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from pipeline.events.event_types import EventTypes, load

SCHEMAS = Path(__file__).parents[2] / "schemas"
TYPES = load(SCHEMAS)
TRIP: dict[str, Any] = json.loads((SCHEMAS / "trip.avsc").read_text())


def load_all(folder: Path, **files: object) -> EventTypes:
    """The event types of these files: name -> content."""
    for name, schema in files.items():
        (folder / f"{name}.avsc").write_text(json.dumps(schema))
    return load(folder)


def assert_refused(folder: Path, schema: object, words: list[str]) -> None:
    """Require that this content of a file is refused, with the file's name and these words."""
    with pytest.raises(UserError) as refused:
        load_all(folder, faulty=schema)
    message = str(refused.value)
    assert "faulty.avsc" in message and "allowed" in message
    assert [word for word in words if word not in message] == []


def changed(of: str, /, **changes: object) -> dict[str, Any]:
    """The schema of trips with one field changed."""
    schema = copy.deepcopy(TRIP)
    next(field for field in schema["fields"] if field["name"] == of).update(changes)
    return schema


def by(*partition_by: dict[str, Any]) -> dict[str, Any]:
    """The schema of trips with other partitions."""
    return {**TRIP, "partitionBy": list(partition_by)}


def changed_by(partition: dict[str, Any], of: str, /, **changes: object) -> dict[str, Any]:
    """The schema of trips with one field changed, and with one partition."""
    return {**changed(of, **changes), "partitionBy": [partition]}


def as_type(event_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as that of another event type."""
    next(field for field in schema["fields"] if field["name"] == "type")["enum"] = [event_type]
    return {**schema, "eventType": event_type}
