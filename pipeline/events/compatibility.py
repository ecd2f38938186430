"""Changes between two sets of event types, and which of them are incompatible.

Three things that were made with the older schemas stay: the lake's files and documents, records in
the archive (a backfill or replay decodes them with the newer schemas), and programs that read. A
change is refused when one of them would break or silently mean something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from connectors.opensearch.templates import mapping_differences
from pipeline.events.derive import mapping
from pipeline.events.model import EventType, EventTypes, Field

_ROLES = ("id", "event_time", "version_time", "partition_by")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of an event type or field; `refused` says why it is incompatible, else empty."""

    event_type: str
    field: str
    what: str
    refused: str = ""

    def __str__(self) -> str:
        where = f"{self.event_type}.{self.field}" if self.field else self.event_type
        return f"{where}: {self.what}" + (f"; {self.refused}" if self.refused else "")


def changes(old: EventTypes, new: EventTypes) -> Iterator[Change]:
    """Yield every change that matters to data, by type; a changed `doc` does not."""
    for before in old:
        after = new.get(before.name)
        if after is None:
            yield Change(before.name, "", "removed", "its events would become dead letters")
        else:
            yield from _of_type(before, after)
    yield from (Change(added.name, "", "added") for added in new if old.get(added.name) is None)


def _of_type(old: EventType, new: EventType) -> Iterator[Change]:
    all_changes = [*_roles(old, new), *_fields(old, new), *_columns(old, new), *_mapping(old, new)]
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
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _fields(old: EventType, new: EventType) -> Iterator[Change]:
    before = {field.name: field for field in old.fields}
    after = {field.name: field for field in new.fields}
    for name in before:
        if name in after:
            for what, refused in _of_field(before[name], after[name]):
                yield Change(new.name, name, what, refused)
        else:
            why = "old readers look for it, and records that have it would be refused"
            yield Change(new.name, name, "removed", why)
    for name in after:
        if name not in before:
            why = "" if after[name].optional else "archived records lack it, so give it a default"
            yield Change(new.name, name, "added", why)


def _of_field(old: Field, new: Field) -> Iterator[tuple[str, str]]:
    if old.kind != new.kind:
        yield f"type was {old.kind}, is {new.kind}", "files of two types cannot be read together"
        return
    if old.nullable != new.nullable:
        why = "old files may hold null" if old.nullable else ""
        yield "may be null" if new.nullable else "may no longer be null", why
    if old.optional != new.optional:
        why = "" if new.optional else "archived records may lack it"
        yield "may be left out" if new.optional else "may no longer be left out", why
    elif old.default != new.default:
        why = "archived records without it would get another value than in the lake"
        yield f"default was {old.default!r}, is {new.default!r}", why
    yield from _limits(old, new)


def _limits(old: Field, new: Field) -> Iterator[tuple[str, str]]:
    """Yield changed limits; archived records may be outside narrower ones."""
    why = "archived records may be beyond it"
    for name, sign in (("minimum", -1), ("maximum", 1), ("max_length", 1)):
        before, after = getattr(old, name), getattr(new, name)
        if before is not None and before != after:
            narrower = sign * after < sign * before
            yield f"{name} was {before}, is {after}", why if narrower else ""
    if old.enum != new.enum:
        narrower = bool(new.enum) and not (old.enum and set(old.enum) <= set(new.enum))
        yield f"enum was {list(old.enum)}, is {list(new.enum)}", why if narrower else ""
    if old.pattern != new.pattern:
        what = f"pattern was {old.pattern!r}, is {new.pattern!r}"
        yield what, why if new.pattern is not None else ""
    if lost := [alias for alias in old.aliases if alias not in new.aliases]:
        yield f"aliases lost {lost}", "historical files name their columns so"


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
    after = {field.name: field.kind for field in new.fields}
    both = [field.name for field in old.fields if after.get(field.name) == field.kind]
    for difference in mapping_differences(_only(both, mapping(old)), _only(both, mapping(new))):
        why = "an index cannot change it; reindex under another index.prefix"
        yield Change(new.name, "", f"mapping: {difference}", why)


def _only(fields: list[str], index: dict[str, Any]) -> dict[str, Any]:
    return {**index, "properties": {name: index["properties"][name] for name in fields}}
