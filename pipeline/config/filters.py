"""Check a replica's filter without a JVM: its characters, brackets and the names in it.

Flink's planner has the last word when the job starts, or with `streaming-etl plan`. This check
refuses only what the planner refuses, too, and brackets that do not match: they would end what the
filter is put into.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from connectors.text_files import cut, masked, shown
from pipeline.config.model import Config
from pipeline.events.event_types import EventTypes
from pipeline.events.faults import did_you_mean
from pipeline.events.model import Kind

_TOKEN: Final = re.compile(
    r"(?P<space>\s+|(?:--|//)[^\n\r]*|/\*.*?\*/)"
    r"|(?P<text>(?:[uU]&|[nNxX]|_\w+)?'(?:[^']|'')*'|\{\s*(?:d|ts?)\s*'[^']*'\s*\})"
    r"|(?P<quoted>`[^`]+`)"
    r"|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<bad>!=|==|&&|<=>)"
    r"|(?P<sign><>|<=|>=|\|\||[-+*/%<>=().,\[\]?:])",
    re.DOTALL,
)
_INSTEAD: Final = {
    "!=": "not equal is written <>",
    "==": "equal is written =",
    "<=>": "write IS NOT DISTINCT FROM",
    "&&": "write AND",
    ";": "a filter is one condition, without a semicolon",
    '"': "texts are in single quotes, 'like this'",
    "'": "a text has no quote at its end; a quote inside of it is doubled, 'it''s'",
    "`": "a name has no ` at its end",
}
_BEHIND: Final = "what a reference in it stands for is"
_AGGREGATES: Final = frozenset("COUNT SUM AVG MIN MAX".split())
_OPEN_ENDED: Final = frozenset("AND OR NOT IN LIKE IS BETWEEN = <> < > <= >= + - * / % ||".split())
# Words of Flink's SQL that stand where a name may stand.
_WORDS: Final = frozenset(
    "ALL AND ANY ARRAY AS ASYMMETRIC AT BETWEEN BIGINT BINARY BOOLEAN BOTH BYTES CASE CAST CENTURY"
    " CHAR CHARACTER CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATE DAY DAYS DEC DECADE DECIMAL"
    " DEFAULT DISTINCT DOUBLE DOW DOY ELSE EMPTY END EPOCH ERROR ESCAPE EXISTS FALSE FLOAT FOR FROM"
    " HOUR HOURS IN INT INTEGER INTERVAL IS ISODOW ISOYEAR JSON KEY KEYS LEADING LIKE LOCAL"
    " LOCALTIME LOCALTIMESTAMP MAP MEMBER MICROSECOND MILLENNIUM MILLISECOND MINUTE MINUTES MONTH"
    " MONTHS MULTISET NANOSECOND NOT NULL NUMERIC OBJECT OF ON OR OVERLAPS PLACING PRECEDES"
    " PRECISION QUARTER QUARTERS REAL RETURNING ROW SCALAR SECOND SECONDS SIMILAR SMALLINT SOME"
    " SQL_TSI_DAY SQL_TSI_HOUR SQL_TSI_MINUTE SQL_TSI_MONTH SQL_TSI_QUARTER SQL_TSI_SECOND"
    " SQL_TSI_WEEK SQL_TSI_YEAR STRING SUBMULTISET SUCCEEDS SYMMETRIC THEN TIME TIMESTAMP"
    " TIMESTAMP_LTZ TINYINT TO TRAILING TRUE UNCONDITIONAL UNKNOWN USING VALUE VARBINARY VARCHAR"
    " VARYING WEEK WEEKS WHEN WITH WITHOUT WRAPPER YEAR YEARS ZONE CONDITIONAL ABSENT EQUALS"
    " CONTAINS IMMEDIATELY PERIOD CURRENT_ROW_TIMESTAMP USER CURRENT_USER SYSTEM_USER"
    " UESCAPE".split()
)


class _Token(NamedTuple):
    kind: str
    text: str


def replica_problems(
    config: Config, types: EventTypes, written: Mapping[str, Any]
) -> Iterator[str]:
    """Yield one message for each filter that cannot be right, and each unknown event type.

    `written` is the configuration's content before references were replaced: what one stands for is
    in no message.
    """
    for name, replica in config.replicate.items():
        keys = written["replicate"][name]
        unknown = sorted(set(replica.event_types) - set(types.names))
        if unknown and _has_reference(keys.get("event_types")):
            yield f"replicate.{name}.event_types: {_BEHIND} no event type of decode.schemas."
        elif unknown:
            yield from _unknown(name, unknown, types)
        asked = replica.event_types or types.names
        chosen = [each for each in types if each.name in asked] or list(types)
        fields = {
            field.column: field.kind for each in chosen for field in each.fields if field.column
        }
        if replica.filter and (why := problem(replica.filter, fields)):
            is_behind = _has_reference(keys.get("filter"))
            why = f"{_BEHIND} no condition on fields of its event types" if is_behind else why
            yield f"replicate.{name}.filter is {shown(keys['filter'])}: {why}."


def read_columns(condition: str, columns: Collection[str]) -> set[str]:
    """Return which of the columns a filter may read: those it names; a subquery may read all."""
    tokens = [token for token in _tokens(condition) if token.kind in ("name", "quoted")]
    if any(token.text.upper() == "SELECT" for token in tokens):
        return set(columns)
    return {token.text.strip("`") for token in tokens}.intersection(columns)


def read_fields(config: Config, types: EventTypes) -> dict[str, Kind]:
    """Return the columns of events that some replica's filter may read."""
    columns = {column.name: column.kind for column in types.columns}
    filters = (replica.filter for replica in config.replicate.values())
    read = {name for condition in filters for name in read_columns(condition, columns)}
    return {name: kind for name, kind in columns.items() if name in read}


def _has_reference(value: Any) -> bool:
    return any("${" in str(each) for each in (value if isinstance(value, list) else [value]))


def unknown_event_types(config: Config, types: EventTypes) -> Iterator[str]:
    """Yield one message for each event type of a replica that has no schema."""
    for name, replica in config.replicate.items():
        yield from _unknown(name, sorted(set(replica.event_types) - set(types.names)), types)


def _unknown(name: str, unknown: Sequence[str], types: EventTypes) -> Iterator[str]:
    known = ", ".join(types.names)
    for each in unknown:
        yield f"replicate.{name}.event_types has {masked(each)}; decode.schemas has {known}."


def problem(condition: str, fields: Mapping[str, str]) -> str:
    """Return why a condition on these fields (name -> kind) cannot be right; empty if it may be."""
    tokens: list[_Token] = []
    for token in _tokens(condition):
        if token.kind == "bad":
            return _INSTEAD.get(token.text, f"{token.text} is not allowed here")
        if token.kind != "space":
            tokens.append(token)
    if not tokens:
        return "it has no condition; remove the key for a replica of all events"
    return (
        _bracket_problem(tokens)
        or _name_problem(tokens, fields)
        or _end_problem(tokens[-1])
        or _lone_problem(tokens, fields)
    )


def _tokens(condition: str) -> Iterator[_Token]:
    at = 0
    while at < len(condition):
        match = _TOKEN.match(condition, at)
        if match is None:
            yield _Token("bad", condition[at])
            return
        yield _Token(str(match.lastgroup), match[0])
        at = match.end()


def _bracket_problem(tokens: Collection[_Token]) -> str:
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth < 0:
            return "a ) has no ( before it"
    return "a ( has no ) after it" if depth else ""


def _name_problem(tokens: list[_Token], fields: Mapping[str, str]) -> str:
    if any(token.text.upper() == "SELECT" for token in tokens if token.kind == "name"):
        return ""  # A subquery has names of its own.
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        if token.kind not in ("name", "quoted") or "." in {
            near.text for near in (before, after) if near
        }:
            continue
        name = token.text.strip("`")
        is_call = token.kind == "name" and after is not None and after.text == "("
        if is_call and name.upper() in _AGGREGATES:
            return f"{name} needs several events, and a filter sees one"
        is_word = token.kind == "name" and name.upper() in _WORDS
        if not (is_call or is_word or name in fields):
            guess = did_you_mean(name, fields) or f"; allowed: {cut(', '.join(fields), 600)}"
            return f"{cut(name)} is no field of its event types{guess}"
    return ""


def _end_problem(last: _Token) -> str:
    ends_open = last.kind in ("name", "sign") and last.text.upper() in _OPEN_ENDED
    return f"something is missing after {last.text} at its end" if ends_open else ""


def _lone_problem(tokens: list[_Token], fields: Mapping[str, str]) -> str:
    name = tokens[0].text.strip("`")
    if len(tokens) == 1 and fields.get(name, "boolean") != "boolean":
        return f"{name} alone is no condition; compare it, such as {name} IS NOT NULL"
    return ""
