"""Changes between two sets of event types, and which of them are incompatible.

Three things that were made with the older schemas stay: the lake's files and documents, records in
the archive (a backfill or replay decodes them with the newer schemas), and programs that read. A
change is refused when one of them would break or silently mean something else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from connectors.opensearch.templates import mapping_differences
from pipeline.events import instants
from pipeline.events.derive import mapping
from pipeline.events.instants import FRACTIONS
from pipeline.events.model import ControlType, EventType, EventTypes, Field, Kind

_PROMOTED: Final[Mapping[Kind, tuple[Kind, ...]]] = {
    "int32": ("int64", "float", "double"),
    "int64": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
    "bytes": ("string",),
}
"""What Avro's resolution of schemas reads as what."""
_TWO_TYPES: Final = "files of two types cannot be read together"
_YEAR_2009: Final = 1_230_768_000
_DAY: Final = 86_400
_ROLES = ("id", "event_time", "version_time", "partition_by")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of an event type or field; `refused` says why it is incompatible, else empty.

    `field` is a path: `position.lat`, `tags[]` for items, `labels{}` for values of a map, and
    `value|long` for a branch of a union.
    """

    event_type: str
    field: str
    what: str
    refused: str = ""

    def __str__(self) -> str:
        where = f"{self.event_type}.{self.field}" if self.field else self.event_type
        return f"{where}: {self.what}" + (f"; {self.refused}" if self.refused else "")


def changes(old: EventTypes, new: EventTypes) -> Iterator[Change]:
    """Yield every change that matters to data, by type; a changed `doc` does not."""
    before, after = _by_name(old), _by_name(new)
    for name, was in before.items():
        now = after.get(name)
        if now is None:
            records = "control records" if isinstance(was, ControlType) else "events"
            yield Change(name, "", "removed", f"its {records} would become dead letters")
        elif isinstance(was, EventType) and isinstance(now, EventType):
            yield from _of_type(was, now)
        elif isinstance(was, ControlType) and isinstance(now, ControlType):
            yield from _versioned(was, now, list(_fields(now.name, "", was.fields, now.fields)))
        elif isinstance(was, EventType):
            yield Change(name, "", "is a control type now", "its events would not be stored")
        else:
            why = "archived control records would be read as events"
            yield Change(name, "", "is no control type any more", why)
    yield from (Change(name, "", "added") for name in after if name not in before)


def _by_name(types: EventTypes) -> dict[str, EventType | ControlType]:
    events: dict[str, EventType | ControlType] = {each.name: each for each in types}
    return events | {each.name: each for each in types.control}


def _of_type(old: EventType, new: EventType) -> Iterator[Change]:
    fields = _fields(new.name, "", old.fields, new.fields)
    all_changes = [*_roles(old, new), *fields, *_columns(old, new), *_mapping(old, new)]
    yield from _versioned(old, new, all_changes)


def _versioned(
    old: EventType | ControlType, new: EventType | ControlType, all_changes: list[Change]
) -> Iterator[Change]:
    """Yield the changes, and that of a version that is not raised with them."""
    yield from all_changes
    if new.version < old.version or (all_changes and new.version == old.version):
        what = f"version was {old.version}, is {new.version}"
        why = "rows of two schemas would carry one version, so raise it with every change"
        yield Change(new.name, "", what, why)


def _roles(old: EventType, new: EventType) -> Iterator[Change]:
    for role in _ROLES:
        before, after = getattr(old, role), getattr(new, role)
        if before != after:
            was, now = (_text(value) for value in (before, after))
            why = "one event would have two ids, versions or partitions"
            yield Change(new.name, "", f"{role} was {was}, is {now}", why)


def _text(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text or "nothing"


def _fields(
    event_type: str, path: str, old: Sequence[Field], new: Sequence[Field]
) -> Iterator[Change]:
    """Yield the changes of the fields of a record, which is at the path."""
    before = {field.name: field for field in old}
    after = {field.name: field for field in new}
    for name in before:
        if name in after:
            yield from _of_field(event_type, path + name, before[name], after[name])
        else:
            why = "old readers look for it, and records that have it would be refused"
            yield Change(event_type, path + name, "removed", why)
    for name in after:
        if name not in before:
            why = "" if after[name].optional else "archived records lack it, so give it a default"
            yield Change(event_type, path + name, "added", why)


def _of_field(event_type: str, path: str, old: Field, new: Field) -> Iterator[Change]:
    """Yield the changes of a field, and of what is in it."""
    if found := list(_type(old, new)):
        yield from (Change(event_type, path, what, why) for what, why in found)
        return
    for what, why in (*_presence(old, new), *_limits(old, new)):
        yield Change(event_type, path, what, why)
    match new.kind:
        case "record":
            yield from _fields(event_type, f"{path}.", old.children, new.children)
        case "array" | "map":
            within = f"{path}[]" if new.kind == "array" else f"{path}{{}}"
            yield from _of_field(event_type, within, old.children[0], new.children[0])
        case "union":
            yield from _branches(event_type, path, old, new)


def _branches(event_type: str, path: str, old: Field, new: Field) -> Iterator[Change]:
    """Yield the changes of a union's branches, each of which is a nullable part of the column."""
    before = {branch.name: branch for branch in old.children}
    after = {branch.name: branch for branch in new.children}
    for name in before:
        if name in after:
            yield from _of_field(event_type, f"{path}|{name}", before[name], after[name])
        else:
            why = "old readers look for it, and records that have it would be refused"
            yield Change(event_type, f"{path}|{name}", "removed", why)
    yield from (
        Change(event_type, f"{path}|{name}", "added") for name in after if name not in before
    )


def _type(old: Field, new: Field) -> Iterator[tuple[str, str]]:
    """Yield what makes the files' type, or the reading of archived records, another one."""
    if old.kind != new.kind:
        plain = not (old.enum or old.size or new.enum or new.size)
        promotes = plain and new.kind in _PROMOTED.get(old.kind, ())
        avro = f"Avro would read {old.kind} as {new.kind}, but " if promotes else ""
        yield f"type was {old.kind}, is {new.kind}", avro + _TWO_TYPES
        return
    for name in ("unit", "precision", "scale", "size"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{name} was {before}, is {after}", _TWO_TYPES
    if old.wire != new.wire:
        why = "archived records would be read otherwise"
        yield f"wire was {old.wire}, is {new.wire}", why


def _presence(old: Field, new: Field) -> Iterator[tuple[str, str]]:
    """Yield whether a field may be null or left out, where that changed."""
    if old.nullable != new.nullable:
        why = "old files may hold null" if old.nullable else ""
        yield "may be null" if new.nullable else "may no longer be null", why
    if old.optional != new.optional:
        why = "" if new.optional else "archived records may lack it"
        yield "may be left out" if new.optional else "may no longer be left out", why
    elif old.default != new.default:
        why = "archived records without it would get another value than in the lake"
        yield f"default was {old.default!r}, is {new.default!r}", why


def _limits(old: Field, new: Field) -> Iterator[tuple[str, str]]:
    """Yield changed limits; archived records may be outside narrower ones."""
    why = "archived records may be beyond it"
    for name, sign in (("minimum", -1), ("maximum", 1), ("max_length", 1)):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            narrower = sign * _bound(new, name, sign) < sign * _bound(old, name, sign)
            was, now = _limit_text(old, before), _limit_text(new, after)
            yield f"{name} was {was}, is {now}", why if narrower else ""
    if old.enum != new.enum:
        narrower = bool(new.enum) and not (old.enum and set(old.enum) <= set(new.enum))
        yield f"enum was {list(old.enum)}, is {list(new.enum)}", why if narrower else ""
    if old.pattern != new.pattern:
        what = f"pattern was {old.pattern!r}, is {new.pattern!r}"
        yield what, why if new.pattern is not None else ""
    if lost := [alias for alias in old.aliases if alias not in new.aliases]:
        yield f"aliases lost {lost}", "historical files name their columns so"


def _limit_text(field: Field, limit: Any) -> str:
    if limit is None:
        return "none"
    if field.kind == "date":
        return instants.date_text(limit)
    if field.kind in ("timestamp", "local_timestamp"):
        return instants.text(limit, field.unit, local=field.kind == "local_timestamp")
    return str(limit)


def _bound(field: Field, name: str, sign: int) -> int | float | Decimal:
    """Return a limit; in place of none that of all instants, else an infinite one."""
    limit: int | float | Decimal | None = getattr(field, name)
    if limit is not None:
        return limit
    if field.kind == "timestamp":
        seconds = _YEAR_2009 if name == "minimum" else int(time.time()) + _DAY
        return seconds * FRACTIONS[field.unit]
    return sign * float("inf")


def _columns(old: EventType, new: EventType) -> Iterator[Change]:
    """Yield changed names in the union of all types' columns, which replica filters use."""
    after = {field.name: field for field in new.fields}
    for field in old.fields:
        now = after.get(field.name, field)
        if now.kind == field.kind and now.column != field.column:
            what = f"column was {field.column}, is {now.column}"
            why = "another event type has it with another type, and filters name columns"
            yield Change(new.name, field.name, what, why)


def _mapping(old: EventType, new: EventType) -> Iterator[Change]:
    """Yield changed index definitions of the fields that kept their type."""
    before, after = (
        {**index, "properties": _kept(index.get("properties", {}), old.fields, new.fields)}
        for index in (mapping(old), mapping(new))
    )
    for difference in mapping_differences(before, after):
        why = "an index cannot change it; reindex under another index.prefix"
        yield Change(new.name, "", f"mapping: {difference}", why)


def _kept(
    properties: Mapping[str, Any], old: Sequence[Field], new: Sequence[Field]
) -> dict[str, Any]:
    """Return the definitions of fields that both records have, of one type."""
    after = {field.name: field for field in new}
    kept: dict[str, Any] = {}
    for field in old:
        if field.name not in after or field.name not in properties:
            continue
        was, now = field, after[field.name]
        while was.kind == now.kind == "array":  # its definition is that of its items
            was, now = was.children[0], now.children[0]
        if next(_type(was, now), None):
            continue
        definition = kept[field.name] = dict(properties[field.name])
        if was.kind == "record" and "properties" in definition:
            below = _kept(definition["properties"], was.children, now.children)
            definition["properties"] = below
    return kept
