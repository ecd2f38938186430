"""Draft the schema of an event type from sample events: fields, roles, partitions, and doubts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, NamedTuple

from connectors.errors import UserError
from connectors.text_files import cut
from pipeline.events.fields import FIELD_NAME, allowed_field_name
from pipeline.events.model import EVENT_TYPE_NAME, LONGEST_ID_BYTES
from pipeline.events.schema_files import MOST_ID_FIELDS, RESERVED
from pipeline.ops.infer.seen import TEXT, Seen, observe
from pipeline.ops.infer.types import SHOWN, Types, camel

_LIKELY_ID: Final = ("id", "uuid", "key")
_ID_TYPES: Final = ("int", "long", "string", "uuid")
_PART_TYPES: Final = (*_ID_TYPES, "boolean", "timestamp")


class Roles(NamedTuple):
    """What the user says; an empty name is for us to decide."""

    event_type: str = ""
    id: tuple[str, ...] = ()
    event_time: str = ""
    version_time: str = ""


@dataclass(slots=True)
class Draft:
    """A schema as JSON, and what could not be decided or should be looked at."""

    schema: dict[str, Any]
    notes: list[str]


def text(schema: Mapping[str, Any]) -> str:
    """Return the schema as the text of its file: a line for each field."""

    def shown(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    lines = [f"  {shown(key)}: {shown(value)}" for key, value in schema.items() if key != "fields"]
    fields = ",\n".join(f"    {shown(field)}" for field in schema["fields"])
    return "{\n" + ",\n".join([*lines, f'  "fields": [\n{fields}\n  ]']) + "\n}\n"


def infer(events: Sequence[Mapping[str, Any]], roles: Roles, now: datetime | None = None) -> Draft:
    """Return a draft of the schema of these events, which are of one type.

    A member whose type is not known, or that cannot be a field, is left out with a note. What a
    schema needs and could not be decided is None in the draft. Times are plausible up to a day
    after `now`.

    Raises:
        UserError: there is no event, or a role names no field that it can.
    """
    if not events:
        raise UserError("the sample has no event of that type; give a file with one in each line")
    return _Drafter(events, roles, now or datetime.now(UTC)).draft()


class _Drafter:
    """Decides what was seen."""

    def __init__(self, events: Sequence[Mapping[str, Any]], roles: Roles, now: datetime) -> None:
        self._events = events
        self._seen = observe(events)
        self._total = len(events)
        self._roles = roles
        self._name = self._event_type()
        self._types = Types(camel(self._name), now)
        self._fields: dict[str, dict[str, Any]] = {}

    def draft(self) -> Draft:
        """Return the schema, whose properties are in the order of the shipped ones."""
        self._note_the_type()
        for name, seen in self._seen.items():
            if declared := self._field(name, seen):
                self._fields[name] = declared
        names, event_time = self._id(), self._event_time()
        version_time = self._version_time(event_time, names)
        schema = {
            "type": "record",
            "name": camel(self._name),
            "doc": f"Say what a {self._name} is.",
            "eventType": self._name,
            "version": 1,
            **({"id": names[0] if len(names) == 1 else [*names]} if names else {}),
            "eventTime": event_time,
            **({"versionTime": version_time} if version_time else {}),
            "partitionBy": self._partition_by(event_time),
            "fields": [*self._fields.values()],
        }
        return Draft(schema, self._types.notes)

    def _field(self, name: str, seen: Seen) -> dict[str, Any] | None:
        """Return the field; None, with a note, if it can't be one."""
        if allowed_field_name(name, RESERVED):
            self._note(name, f"left out: a field's name is like {FIELD_NAME.pattern}, and none of"
                       " the job's columns")  # fmt: skip
            return None
        if name.lower() in map(str.lower, self._fields):
            self._note(name, "left out: another field's name differs in case alone")
            return None
        return self._types.field(name, name, seen, self._total)

    def _event_type(self) -> str:
        seen = self._seen.get("type", Seen())
        name = self._roles.event_type or next(iter(seen.values), "")
        if not isinstance(name, str) or not EVENT_TYPE_NAME.fullmatch(name):
            raise UserError(
                f"the event type is {cut(str(name), SHOWN)!r}; give --type, text like"
                f" {EVENT_TYPE_NAME.pattern}"
            )
        return name

    def _note_the_type(self) -> None:
        """Say what to configure if `type` does not tell the events' type."""
        if self._tells_type("type"):
            return
        others = [name for name in self._seen if self._tells_type(name)]
        key = (
            f"event_type_field: {cut(others[0], SHOWN)}" if others else f"event_type: {self._name}"
        )
        self._note(
            "type",
            f"not {self._name} in all events: say in the section source which type they are, such"
            f" as `{key}`; see docs/event-types.md#which-type-a-record-is",
        )

    def _tells_type(self, name: str) -> bool:
        seen = self._seen.get(name, Seen())
        return list(seen.values) == [self._name] and seen.kinds[TEXT] == self._total

    def _kind(self, name: str) -> str:
        """Return the field's type by one word; empty if it is no plain one, or may be null."""
        declared = self._fields.get(name, {}).get("type")
        if isinstance(declared, dict):
            logical = str(declared.get("logicalType", ""))
            return "timestamp" if logical.startswith("timestamp") else logical
        return declared if isinstance(declared, str) else ""

    def _id(self) -> tuple[str, ...]:
        """Return the id's fields; none, with a note, if they are not decided."""
        able = [name for name in self._fields if self._kind(name) in _ID_TYPES]
        unique = [name for name in able if len(self._seen[name].values) == self._total]
        if given := self._roles.id:
            return self._given_id(given, able, unique)
        likely = [name for name in unique if _likely_id(name)] or unique
        if len(likely) == 1:
            return self._as_id(likely[0])
        known = ", ".join(likely) or "no field is unique, so give several"
        self._note(
            "id",
            "left out: each record would be a document, by its position in the source; give --id,"
            f" once or for each of several fields: {known}",
        )
        return ()

    def _given_id(
        self, given: tuple[str, ...], able: list[str], unique: list[str]
    ) -> tuple[str, ...]:
        kinds = _ID_TYPES if len(given) == 1 else _PART_TYPES
        for name in given:
            if self._kind(name) not in kinds:
                raise UserError(
                    f"--id is {cut(name, SHOWN)!r}; give a field of text or integers that every"
                    f" event has: {', '.join(unique or able) or 'none is known'}"
                )
        if len(set(given)) < len(given) or len(given) > MOST_ID_FIELDS:
            raise UserError(
                f"--id is {', '.join(given)}; give different fields, {MOST_ID_FIELDS} at most"
            )
        ids = {tuple(event[name] for name in given) for event in self._events}
        if len(ids) < self._total:
            named = ", ".join(given)
            self._note("id", f"{named} has one value twice: later ones replace earlier ones")
        return self._as_id(given[0]) if len(given) == 1 else given

    def _as_id(self, name: str) -> tuple[str]:
        """Make an integer id a long, and tell of a text that is too long."""
        if self._fields[name]["type"] == "int":
            self._fields[name]["type"] = "long"
        self._fields[name].pop("maxLength", None)
        if self._seen[name].longest > LONGEST_ID_BYTES:
            self._note("id", f"{name} has texts of more than {LONGEST_ID_BYTES} bytes, which no id"
                       " can have")  # fmt: skip
        return (name,)

    def _times(self) -> list[str]:
        return [name for name in self._fields if self._kind(name) == "timestamp"]

    def _time(self, option: str, given: str) -> str:
        if given not in self._times():
            raise UserError(f"{option} is {given!r}; give a time that every event has:"
                            f" {', '.join(self._times()) or 'none is known'}")  # fmt: skip
        return given

    def _event_time(self) -> str | None:
        if given := self._roles.event_time:
            return self._time("--event-time", given)
        times = self._times()
        if len(times) == 1:
            return times[0]
        self._note("eventTime", f"not decided; give --event-time: {', '.join(times) or 'none'}")
        return None

    def _version_time(self, event_time: str | None, names: tuple[str, ...]) -> str | None:
        """Return the time that orders versions; of events without id there is one version."""
        if given := self._roles.version_time:
            return self._time("--version-time", given)
        if event_time is None or not names:
            return None
        self._note("versionTime", "the event time; give --version-time if events are updated, or"
                   " leave it out for the order of arrival")  # fmt: skip
        return event_time

    def _partition_by(self, event_time: str | None) -> list[dict[str, str]] | None:
        if event_time is None:
            return None
        taken = {name.lower() for name in self._fields}
        name = next(each for each in _day_names() if each not in taken)
        self._note("partitionBy", "by day; see docs/event-types.md#partitions")
        return [{"name": name, "from": event_time, "transform": "day"}]

    def _note(self, name: str, text: str) -> None:
        self._types.note(name, text)


def _likely_id(name: str) -> bool:
    lower = name.lower()
    return (
        lower in _LIKELY_ID
        or lower.endswith(tuple(f"_{end}" for end in _LIKELY_ID))
        or (name.endswith(("Id", "ID", "Uuid", "UUID", "Key")))
    )


def _day_names() -> Iterator[str]:
    yield "day"
    yield from (f"day_{number}" for number in count(2))
