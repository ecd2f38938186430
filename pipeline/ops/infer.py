"""Draft the schema of an event type from sample events: kinds, nulls, examples, and doubts."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

from connectors.errors import UserError
from connectors.text_files import cut
from pipeline.decode import timestamps
from pipeline.decode.decoder import Decoder
from pipeline.decode.timestamps import BadTimestamp
from pipeline.events.event_types import load
from pipeline.events.fields import FIELD_NAME, allowed_field_name
from pipeline.events.model import (
    EVENT_TYPE_NAME,
    LONGEST_ID_BYTES,
    LONGEST_TEXT,
    WATERMARK,
)

TIME: Final = {"type": "long", "logicalType": "timestamp-millis"}
_INT: Final = range(-(2**31), 2**31)
_LONG: Final = range(-(2**63), 2**63)
_EXAMPLES: Final = 3
_SHOWN: Final = 40
_ID: Final = re.compile(r"(^|_)(id|uuid|key)\Z")
_KINDS: Final[Mapping[type, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "text",
    type(None): "null",
}
_OTHER: Final[Mapping[type, str]] = {dict: "object", list: "array"}


class Roles(NamedTuple):
    """What the user says; an empty name is for us to decide."""

    event_type: str = ""
    id: str = ""
    event_time: str = ""
    version_time: str = ""


@dataclass(slots=True)
class Draft:
    """A schema as JSON, and what could not be decided or should be looked at."""

    schema: dict[str, Any]
    notes: list[str]


class Sample(NamedTuple):
    """Events of one type with their lines, and how many other lines are no JSON object."""

    events: list[dict[str, Any]]
    lines: list[bytes]
    bad: int


def read(lines: Iterable[bytes], event_type: str) -> Sample:
    """Return the events of a type, or of the only one; an event without `type` is of it, too.

    Raises:
        UserError: the events have several types, and none is asked for.
    """
    parsed = [(line, _json(line)) for line in lines]
    known = [(line, event) for line, event in parsed if isinstance(event, dict)]
    types = dict.fromkeys(str(event["type"]) for _, event in known if "type" in event)
    if len(types) > 1 and not event_type:
        named = cut(", ".join(types), _SHOWN * 5)
        raise UserError(f"the sample has events of the types {named}; give one as --type")
    chosen = [
        (line, event)
        for line, event in known
        if not event_type or str(event.get("type", event_type)) == event_type
    ]
    return Sample(
        [event for _, event in chosen], [line for line, _ in chosen], len(parsed) - len(known)
    )


def _json(line: bytes) -> Any:
    """Return the JSON value of a line, None if there is none."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return json.loads(line, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None


def text(schema: Mapping[str, Any]) -> str:
    """Return the schema as the text of its file: a line for each field."""

    def shown(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    lines = [f"  {shown(key)}: {shown(value)}" for key, value in schema.items() if key != "fields"]
    fields = ",\n".join(f"    {shown(field)}" for field in schema["fields"])
    return "{\n" + ",\n".join([*lines, f'  "fields": [\n{fields}\n  ]']) + "\n}\n"


def judged(draft: Draft, lines: Sequence[bytes]) -> list[str]:
    """Return how many of the lines a decoder with the draft accepts, and why it rejects others."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "draft.avsc")
        path.write_text(text(draft.schema), encoding="utf-8")
        try:
            types = load(Path(folder))
        except UserError as error:
            return [f"no schema yet: {error}".replace(f"{path}: ", "")]
    decoded = Decoder(types).decode_batch(lines)
    rejects = Counter(filter(None, decoded.reason.tolist()))
    details = dict(zip(decoded.reason.tolist(), decoded.detail.tolist(), strict=True))
    return [
        f"the draft accepts {len(lines) - rejects.total():,} of {len(lines):,} events",
        *(
            f"rejected {n:,} as {reason}, such as {details[reason]}"
            for reason, n in rejects.items()
        ),
    ]


@dataclass(slots=True)
class _Seen:
    """What was seen of one member."""

    count: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    values: dict[Any, None] = field(default_factory=dict)
    least: float = 0
    most: float = 0
    longest: int = 0
    times: Counter[str] = field(default_factory=Counter)

    def add(self, value: Any) -> None:
        kind = _KINDS.get(type(value)) or _OTHER[type(value)]
        numbers = bool(self.kinds["integer"] or self.kinds["number"])
        self.count += 1
        self.kinds[kind] += 1
        if kind in ("integer", "number"):
            self.least = min(self.least, value) if numbers else value
            self.most = max(self.most, value) if numbers else value
        elif kind == "text":
            self.longest = max(self.longest, len(value))
            time = timestamps.parse(value)
            self.times[time.reason if isinstance(time, BadTimestamp) else "time"] += 1
        if kind in _KINDS.values() and kind != "null":
            self.values.setdefault(value)


def infer(events: Sequence[Mapping[str, Any]], roles: Roles) -> Draft:
    """Return a draft of the schema of these events, which are of one type.

    A member whose kind is not known, or is none that a schema can have, is left out with a note.

    Raises:
        UserError: there is no event, or a role names no field that it can.
    """
    seen: dict[str, _Seen] = {}
    for event in events:
        for name, value in event.items():
            seen.setdefault(name, _Seen()).add(value)
    if not events:
        raise UserError("the sample has no event of that type; give a file with one in each line")
    return _Drafter(seen, len(events), roles).draft()


class _Drafter:
    """Decides what was seen."""

    def __init__(self, seen: Mapping[str, _Seen], total: int, roles: Roles) -> None:
        self._seen = seen
        self._total = total
        self._roles = roles
        self._notes: list[str] = []
        self._fields: dict[str, dict[str, Any]] = {}

    def draft(self) -> Draft:
        for name, seen in self._seen.items():
            if name != "type" and (declared := self._field(name, seen)):
                self._fields[name] = declared
        event_type = self._event_type()
        id_name, event_time = self._id(), self._event_time()
        schema = {
            "type": "record",
            "name": "".join(part.capitalize() for part in event_type.split("_")),
            "doc": f"Say what a {event_type} is.",
            "eventType": event_type,
            "version": 1,
            "id": id_name,
            "eventTime": event_time,
            "versionTime": self._version_time(event_time),
            "partitionBy": self._partition_by(event_time),
            "fields": [
                {"name": "type", "type": "string", "doc": f"Always {event_type}."},
                *self._fields.values(),
            ],
        }
        return Draft(schema, self._notes)

    def _field(self, name: str, seen: _Seen) -> dict[str, Any] | None:
        """Return the field; None, with a note, if it can't be one."""
        kind = self._kind(name, seen)
        if kind is None:
            return None
        if allowed_field_name(name):
            self._note(name, f"left out: a field's name is like {FIELD_NAME.pattern}, and none of"
                       " the job's columns")  # fmt: skip
            return None
        is_optional = seen.count < self._total
        nullable = is_optional or bool(seen.kinds["null"])
        declared: dict[str, Any] = {
            "name": name,
            "type": ["null", kind] if nullable else kind,
            "doc": f"Say what it is. Seen: {self._examples(seen)}.",
        }
        if is_optional:
            declared["default"] = None
            missing = self._total - seen.count
            self._note(name, f"missing in {missing:,} of {self._total:,}: null there")
        if kind == "string" and seen.longest > LONGEST_TEXT:
            declared["maxLength"] = seen.longest
        return declared

    def _kind(self, name: str, seen: _Seen) -> Any:
        kinds = {kind for kind in seen.kinds if kind != "null"}
        if kinds == {"integer", "number"}:
            return "double"
        if len(kinds) != 1:
            what = "null in all events" if not kinds else f"both {' and '.join(sorted(kinds))}"
            self._note(name, f"left out: {what}, so its type is not known")
            return None
        (kind,) = kinds
        if kind in _OTHER.values():
            self._note(name, f"left out: an {kind}, which a schema cannot have yet")
            return None
        if kind == "integer":
            return self._integer(name, seen)
        return self._text(name, seen) if kind == "text" else {"number": "double"}.get(kind, kind)

    def _integer(self, name: str, seen: _Seen) -> str | None:
        if seen.least in _INT and seen.most in _INT:
            return "int"
        if seen.least in _LONG and seen.most in _LONG:
            return "long"
        self._note(name, f"left out: {seen.most} is no integer of 64 bits; send it as text")
        return None

    def _text(self, name: str, seen: _Seen) -> Any:
        texts = seen.kinds["text"]
        if seen.times["time"] == texts:
            return dict(TIME)
        if seen.times["time"] or seen.times["timestamp_precision"]:
            self._note(name, f"text: {seen.times['time']:,} of {texts:,} are times of at most"
                       " milliseconds with an offset")  # fmt: skip
        elif len(seen.values) <= _EXAMPLES and texts >= 10 * len(seen.values):
            self._note(name, f"only {self._examples(seen)}: consider enum")
        return "string"

    def _event_type(self) -> str:
        given = self._roles.event_type
        found = list(self._seen.get("type", _Seen()).values)
        name = given or (found[0] if len(found) == 1 else "")
        if not found:
            self._note(
                "type", "no event has it: the sender must add it, with the event type's name"
            )
        if not isinstance(name, str) or not EVENT_TYPE_NAME.fullmatch(name) or name == WATERMARK:
            raise UserError(
                f"the event type is {cut(str(name), _SHOWN)!r}; give --type, text like"
                f" {EVENT_TYPE_NAME.pattern}"
            )
        return name

    def _id(self) -> str | None:
        able = [
            name for name, declared in self._fields.items()
            if declared["type"] in ("int", "long", "string")
            and len(self._seen[name].values) == self._total
        ]  # fmt: skip
        if given := self._roles.id:
            declared = self._fields.get(given)
            if declared is None or declared["type"] not in ("int", "long", "string"):
                raise UserError(f"--id is {given!r}; give a field of text or integers that every"
                                f" event has: {', '.join(able) or 'none is known'}")  # fmt: skip
            if given not in able:
                self._note("id", f"{given} has one value twice: later ones replace earlier ones")
            return self._as_id(given)
        likely = [name for name in able if _ID.search(name)] or able
        if len(likely) == 1:
            return self._as_id(likely[0])
        self._note("id", f"not decided; give --id: {', '.join(likely) or 'no field is unique'}")
        return None

    def _as_id(self, name: str) -> str:
        """Make an integer id a long, and tell of a text that is too long."""
        if self._fields[name]["type"] == "int":
            self._fields[name]["type"] = "long"
        self._fields[name].pop("maxLength", None)
        if self._seen[name].longest > LONGEST_ID_BYTES:
            self._note("id", f"{name} has texts of more than {LONGEST_ID_BYTES} bytes, which no id"
                       " can have")  # fmt: skip
        return name

    def _times(self) -> list[str]:
        return [name for name, declared in self._fields.items() if declared["type"] == TIME]

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

    def _version_time(self, event_time: str | None) -> str | None:
        if given := self._roles.version_time:
            return self._time("--version-time", given)
        if event_time:
            self._note("versionTime", "the event time; give --version-time if events are updated")
        return event_time

    def _partition_by(self, event_time: str | None) -> list[dict[str, str]] | None:
        if event_time is None:
            return None
        name = next(each for each in self._day_names() if each not in self._fields)
        self._note("partitionBy", "by day; see docs/event-types.md#partitions")
        return [{"name": name, "from": event_time, "transform": "day"}]

    def _day_names(self) -> Iterator[str]:
        yield "day"
        yield from (f"day_{number}" for number in count(2))

    def _examples(self, seen: _Seen) -> str:
        shown = [
            cut(str(value), _SHOWN) for value, _ in zip(seen.values, range(_EXAMPLES), strict=False)
        ]
        return ", ".join(shown) or "nothing"

    def _note(self, name: str, text: str) -> None:
        self._notes.append(f"{cut(name, _SHOWN)}: {text}")
