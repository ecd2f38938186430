"""SQL for what a raw record says of its event type, and whether it is a control record."""

from __future__ import annotations

from typing import Final

from connectors.sql import literal
from pipeline.decode.type_rule import TypeRule
from pipeline.events.model import ControlType, EventTypes, Field
from pipeline.ops.reconcile.database import name

NO_HEADER: Final = "NULL::VARCHAR"
"""What a header says, where none is asked."""

_OFFSET: Final = "[^ ](Z|[+-][0-9][0-9]:[0-9][0-9])$"
_JSON_TYPES: Final = {
    "string": "('VARCHAR')",
    "boolean": "('BOOLEAN')",
    "int32": "('BIGINT', 'UBIGINT')",
    "int64": "('BIGINT', 'UBIGINT')",
}


def told(rule: TypeRule) -> str:
    """Return SQL for the text that tells a record's type; NULL if there is none.

    The row has `members`, `document`, `source` (the topic or stream) and `told`, its header.
    """
    if rule.constant:
        return literal(rule.text(rule.constant))
    if rule.header or rule.topics:
        return told_apart(rule)
    if rule.tag:
        return f"(members.{name(rule.tag)} ->> '$')"
    path = "".join(f'."{each}"' for each in rule.path)
    return f"CASE WHEN members IS NOT NULL THEN document ->> {literal('$' + path)} END"


def told_apart(rule: TypeRule) -> str:
    """Return SQL for what tells a record's type beside its bytes; NULL if nothing does."""
    if rule.header:
        return "told"
    cases = " ".join(
        f"WHEN {literal(place)} THEN {literal(text)}" for place, text in rule.topics.items()
    )
    return f"CASE source {cases} END" if cases else NO_HEADER


def type_name(rule: TypeRule) -> str:
    """Return SQL for the name of a record's type; of what has no such name the text itself."""
    if not rule.texts:
        return told(rule)
    cases = " ".join(
        f"WHEN {literal(text)} THEN {literal(each)}" for each, text in rule.texts.items()
    )
    unnamed = ", ".join(map(literal, rule.texts))
    own = f"CASE WHEN {told(rule)} NOT IN ({unnamed}) THEN {told(rule)} END"
    return f"CASE {told(rule)} {cases} ELSE {own} END"


def told_of(name: str, rule: TypeRule, types: EventTypes) -> str:
    """Return SQL for what a header says of the type whose name the SQL `name` gives."""
    if not rule.texts:
        return f"{name}::VARCHAR"
    cases = " ".join(
        f"WHEN {literal(each.name)} THEN {literal(rule.text(each.name))}" for each in types
    )
    return f"CASE {name}::VARCHAR {cases} END"


def is_control(rule: TypeRule, types: EventTypes) -> str:
    """Return SQL that is true for a control record, which no sink but the archive has."""
    if not types.control:
        return "false"
    cases = " ".join(
        f"WHEN {literal(rule.text(each.name))} THEN {_is_whole(each)}" for each in types.control
    )
    return f"(CASE {told(rule)} {cases} ELSE false END)"


def _is_whole(control: ControlType) -> str:
    names = sorted(field.name for field in control.fields)
    listed = ", ".join(map(literal, names))
    # Every member that it must have, and no other one.
    members = [f"list_has_all([{listed}], json_keys(document))"]
    members += [_is_member(field) for field in control.fields]
    return f"coalesce({' AND '.join(members)}, false)"


def _is_member(field: Field) -> str:
    path = literal(f'$."{field.name}"')
    if field.kind == "timestamp":
        value = f"(document ->> {path})"
        form = (
            f"json_type(document, {path}) = 'VARCHAR' AND regexp_matches({value}, '{_OFFSET}')"
            f" AND TRY_CAST({value} AS TIMESTAMPTZ) IS NOT NULL"
        )
    else:
        form = f"json_type(document, {path}) IN {_JSON_TYPES[field.kind]}"
    missing = f"json_type(document, {path})"
    absent = f"{missing} IS NULL" if field.optional else "false"
    null = f"{missing} = 'NULL'" if field.nullable else "false"
    return f"(({absent}) OR coalesce({null}, false) OR coalesce({form}, false))"
