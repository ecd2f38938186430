"""Load the event types: schema files, from which decoder, tables and mappings are derived."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from connectors.errors import Mistakes, UserError
from pipeline.events.model import (
    PLAIN,
    Column,
    ControlType,
    EventType,
    EventTypes,
    Field,
    Kind,
)
from pipeline.events.schema_files import read_event_type

__all__ = ["Column", "ControlType", "EventType", "EventTypes", "Field", "Kind", "load"]


def load(folder: Path) -> EventTypes:
    """Load the folder's event types, one from each `*.avsc` file.

    The result is plain data and can be pickled into Flink's Python workers.

    Raises:
        UserError: schemas are invalid, or two files have one event type; every mistake is in it.
    """
    paths = sorted(folder.glob("*.avsc"))
    if not paths:
        raise UserError(f"{folder}: has no schema; at least one file <event type>.avsc is needed")
    files: dict[str, Path] = {}
    event_types: list[EventType | ControlType] = []
    mistakes = Mistakes()
    for path in paths:
        with mistakes.collected():
            event_type = read_event_type(path)
            if event_type.name in files:
                taken = f'"{event_type.name}" is already taken by {files[event_type.name]}'
                raise UserError(f"{path}: eventType: {taken}")
            files[event_type.name] = path
            event_types.append(event_type)
    mistakes.report()
    _refuse_orphans(folder, files)
    events = [each for each in event_types if isinstance(each, EventType)]
    _refuse_other_cases(folder, events)
    if not events:
        raise UserError(f"{folder}: has control types only; at least one event type is needed")
    control = [each for each in event_types if isinstance(each, ControlType)]
    return of(events, control)


def _refuse_other_cases(folder: Path, event_types: Iterable[EventType]) -> None:
    """Refuse one name in two spellings: SQL of DuckDB, Athena and Spark takes both for one."""
    spelled: dict[str, tuple[str, str]] = {}
    for event_type in event_types:
        for field in event_type.fields:
            name, owner = spelled.setdefault(field.name.lower(), (field.name, event_type.name))
            if name != field.name:
                raise UserError(
                    f"{folder}: {event_type.name} has a field {field.name}, and {owner} has {name};"
                    " allowed: one spelling for both"
                )


def _refuse_orphans(folder: Path, names: Iterable[str]) -> None:
    for path in sorted(folder.glob("*.mapping.json")):
        if path.name.removesuffix(".mapping.json") not in names:
            allowed = ", ".join(f"{name}.mapping.json" for name in names)
            raise UserError(f"{path}: belongs to no event type; allowed: {allowed}")


def of(event_types: Iterable[EventType], control: Iterable[ControlType] = ()) -> EventTypes:
    """Combine event types and give each field of a `PLAIN` kind its column.

    Fields of one name and kind share a column. Where the kinds differ, the first type (in order of
    names) keeps the plain name and the others' columns are called `<field>__<type>`.
    """
    columns: dict[str, Column] = {}
    named: list[EventType] = []
    for event_type in sorted(event_types, key=lambda declared: declared.name):
        fields = tuple(_with_column(field, event_type, columns) for field in event_type.fields)
        named.append(replace(event_type, fields=fields))
    return EventTypes(tuple(named), tuple(columns.values()), tuple(control))


def _with_column(field: Field, event_type: EventType, columns: dict[str, Column]) -> Field:
    name, form = field.name, (field.kind, field.unit)
    if field.kind not in PLAIN:
        return field
    if name in columns and (columns[name].kind, columns[name].unit) != form:
        name = f"{field.name}__{event_type.name}"
    nullable = field.nullable or (name in columns and columns[name].nullable)
    columns[name] = Column(name, field.kind, nullable, field.unit)
    return replace(field, column=name)
