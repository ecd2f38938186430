"""SQL for the digest of a JSON value of any kind.

Types and numbers are read with DuckDB's functions, not with what `decode` uses.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from connectors.sql import literal
from pipeline.events.avro_types import json_form
from pipeline.events.limits import EPOCH_FRACTIONS
from pipeline.events.model import Field
from pipeline.ops.reconcile.database import name
from pipeline.ops.reconcile.digests import (
    EPOCH_DAY,
    NULL,
    ODD_JSON,
    known,
    leaf,
    of_default,
    unless_null,
)

# A text becomes "<text>", a number "<>number": DuckDB's JSON keeps numbers as doubles, texts as is.
_TOKEN: Final = r'"((?:[^"\\]|\\.)*)"|(-?[0-9][-+.eE0-9]*)'
_QUOTED: Final = r'"<\1>\2"'

# DuckDB takes twice as long to plan with each lambda in another. Without, a record is read anew for
# each member.
_BOUND_LEVELS: Final = 6

_TIME: Final = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?"
_DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_OFFSET: Final = "(Z|[+-][0-9]{2}:[0-9]{2})"
_BASE64: Final = "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_DECIMAL: Final = "([+-]?)([0-9]+)(?:[.]([0-9]+))?(?:[eE]([+-]?[0-9]+))?"
_DAY_DIGITS: Final = {"millis-of-day": 3, "micros-of-day": 6}


def is_exact(field: Field) -> bool:
    """Return whether the field has numbers that a double cannot hold: see `exact_json`."""
    exact = field.kind == "decimal" and field.wire == "number"
    return exact or any(map(is_exact, field.children))


def exact_json(document: str) -> str:
    """Return SQL for the same JSON with every text and number in a form that loses no digit."""
    return f"regexp_replace({document}, {literal(_TOKEN)}, {literal(_QUOTED)}, 'g')"


def exact_name(member: str) -> str:
    """Return the name of a member in what `exact_json` returns."""
    return f"<{member}>"


def json_digest(value: str, field: Field, *, exact: bool = False) -> str:
    """Return SQL for the digest of a JSON value, a column's name; SQL's NULL is JSON's null.

    With `exact`, the value is a part of what `exact_json` returns.
    """
    return _Json(exact).digest(value, field, 0)


@dataclass(frozen=True, slots=True)
class _Json:
    """SQL for JSON values; `exact`: texts and numbers are as `exact_json` writes them.

    `level` counts the lambdas around a value.
    """

    exact: bool

    def digest(self, value: str, field: Field, level: int) -> str:
        match field.kind:
            case "record":
                return self._record(value, field, level)
            case "array":
                return self._array(value, field, level)
            case "map":
                return self._map(value, field, level)
            case "union":
                return self._union(value, field, level)
        digest = leaf(field, self._leaf(value, field, level))
        return unless_null(value, known(digest, field, ODD_JSON))

    def _record(self, value: str, field: Field, level: int) -> str:
        structure = json.dumps({self._key(child.name): "JSON" for child in field.children})
        read = f"from_json({value}, {literal(structure)})"
        if level < _BOUND_LEVELS:
            members = f"v{level}"
            hashed = self._members(members, value, field, level + 1)
            return self._of_form(value, "{", _bound(read, members, hashed))
        return self._of_form(value, "{", self._members(read, value, field, level))

    def _members(self, members: str, value: str, field: Field, level: int) -> str:
        digests = [self._member(members, value, child, level) for child in field.children]
        return f"hash('record', {', '.join(digests)})"

    def _member(self, members: str, record: str, field: Field, level: int) -> str:
        value = f"{members}.{name(self._key(field.name))}"
        digest = self.digest(value, field, level)
        if not field.optional or field.default is None:
            return digest
        missing = lacks(record, field, self._key(field.name))
        return f"CASE WHEN {value} IS NULL AND {missing} THEN {of_default(field)} ELSE {digest} END"

    def _array(self, value: str, field: Field, level: int) -> str:
        each = f"v{level}"
        item = self.digest(each, field.children[0], level + 1)
        items = f"list_transform(from_json({value}, '[\"JSON\"]'), lambda {each}: {item})"
        size = f"json_array_length({value})::BIGINT"
        return self._of_form(value, "[", f"hash('array', {size}, {items})")

    def _map(self, value: str, field: Field, level: int) -> str:
        each = f"v{level}"
        key = f"{each}.key"
        if self.exact:
            key = f"substr({key}, 2, length({key}) - 2)"
        item = self.digest(f"{each}.value", field.children[0], level + 1)
        entries = f"map_entries(from_json({value}, '\"MAP(VARCHAR, JSON)\"'))"
        items = f"list_transform({entries}, lambda {each}: hash({key}, {item}))"
        size = f"len(json_keys({value}))::BIGINT"
        return self._of_form(value, "{", f"hash('map', {size}, list_sort({items}))")

    def _union(self, value: str, field: Field, level: int) -> str:
        cases = []
        for branch in field.children:
            digests = [
                self.digest(value, each, level) if each is branch else NULL
                for each in field.children
            ]
            is_form = self._is(value, json_form(branch))
            cases.append(f"WHEN {is_form} THEN hash('union', {', '.join(digests)})")
        return f"CASE WHEN {value} IS NULL THEN {NULL} {' '.join(cases)} ELSE {ODD_JSON} END"

    def _of_form(self, value: str, start: str, digest: str) -> str:
        is_form = f"WHEN {value}::VARCHAR LIKE '{start}%' THEN {digest}"
        return f"CASE WHEN {value} IS NULL THEN {NULL} {is_form} ELSE {ODD_JSON} END"

    def _key(self, member: str) -> str:
        return exact_name(member) if self.exact else member

    def _is(self, value: str, form: str) -> str:
        text = f"{value}::VARCHAR"
        match form:
            case "array":
                return f"{text} LIKE '[%'"
            case "object":
                return f"{text} LIKE '{{%'"
            case "boolean":
                return f"{text} IN ('true', 'false')"
            case "text":
                return f"{text} LIKE '\"%>\"'" if self.exact else f"{text} LIKE '\"%'"
        if self.exact:
            return f"({text} LIKE '\"<>%' AND {text} NOT LIKE '%>\"')"
        return f"regexp_matches({text}, '^-?[0-9]')"

    def _text(self, value: str) -> str:
        text = f"({value} ->> '$')"
        return f"substr({text}, 2, length({text}) - 2)" if self.exact else text

    def _number(self, value: str) -> str:
        return f"substr({value} ->> '$', 3)" if self.exact else f"{value}::VARCHAR"

    def _leaf(self, value: str, field: Field, level: int) -> str:
        """Return SQL for a leaf as its class's type; NULL for a value of another type."""
        form = json_form(field)
        text = {"text": self._text(value), "number": self._number(value)}.get(form)
        read = _json_leaf(text or f"{value}::VARCHAR", field, level)
        return f"CASE WHEN {self._is(value, form)} THEN {read} END"


def lacks(record: str, field: Field, key: str = "") -> str:
    """Return SQL for whether a JSON record lacks a field's member; null is one."""
    return f"NOT json_exists({record}, {literal(f'$.{json.dumps(key or field.name)}')})"


def _bound(value: str, variable: str, body: str) -> str:
    """Return SQL for a body that reads a value as a variable, so that it is evaluated once."""
    return f"list_transform([{value}], lambda {variable}: {body})[1]"


def _json_leaf(text: str, field: Field, level: int) -> str:
    """Return SQL for a leaf, of a text or of a number's digits."""
    match field.kind:
        case "boolean":
            return f"{text} = 'true'"
        case "int32" | "int64":
            return _integer(text)
        case "float":
            return f"TRY_CAST({_finite(text)} AS FLOAT)::DOUBLE"
        case "double":
            return _finite(text)
        case "decimal":
            return _unscaled(text, field, level)
        case "bytes":
            return f"CASE WHEN {_matches(text, _BASE64)} THEN from_base64({text}) END"
        case "date" if field.wire == "iso-8601":
            days = f"(TRY_CAST({text} AS DATE) - {EPOCH_DAY})::HUGEINT"
            return f"CASE WHEN {_matches(text, _DATE)} THEN {days} END"
        case "date":
            return _integer(text)
        case "time" if field.wire == "iso-8601":
            seconds = f"epoch_us(TRY_CAST(substr({text}, 1, 8) AS TIME))::HUGEINT"
            return f"CASE WHEN {_matches(text, _TIME)} THEN {seconds} + {_fraction(text, 6)} END"
        case "time":
            return f"{_integer(text)} * {10 ** (6 - _DAY_DIGITS[field.wire])}"
        case "timestamp" | "local_timestamp":
            return _instant(text, field)
    return text


def _instant(text: str, field: Field) -> str:
    """Return SQL for nanoseconds since 1970 of a field in nanoseconds, else microseconds."""
    digits = 9 if field.unit == "ns" else 6
    if field.wire != "iso-8601":
        return f"{_integer(text)} * {10**digits // EPOCH_FRACTIONS[field.wire]}"
    local = field.kind == "local_timestamp"
    pattern = f"{_DATE}T{_TIME}" + ("" if local else _OFFSET)
    whole = f"regexp_replace({text}, '[.][0-9]+', '')"
    moment = f"epoch_us(TRY_CAST({whole} AS {'TIMESTAMP' if local else 'TIMESTAMPTZ'}))"
    count = f"{moment}::HUGEINT * {10 ** (digits - 6)} + {_fraction(text, digits)}"
    return f"CASE WHEN {_matches(text, pattern)} THEN {count} END"


def _fraction(text: str, digits: int) -> str:
    """Return SQL for the fraction of a second in units of so many digits; NULL if it is finer."""
    part = f"rtrim(regexp_extract({text}, '[.]([0-9]+)', 1), '0')"
    return f"CASE WHEN length({part}) <= {digits} THEN rpad({part}, {digits}, '0')::HUGEINT END"


def _integer(text: str) -> str:
    whole = _matches(text, "-?[0-9]+([.]0+)?")
    return f"CASE WHEN {whole} THEN TRY_CAST({text} AS BIGINT)::HUGEINT END"


def _finite(text: str) -> str:
    return f"nullif(nullif(TRY_CAST({text} AS DOUBLE), 'inf'::DOUBLE), '-inf'::DOUBLE)"


def _unscaled(text: str, field: Field, level: int) -> str:
    """Return SQL for a decimal times 10 to its scale, an integer; NULL if that loses a digit."""
    v = f"v{level}"
    parts = f"regexp_extract({text}, '^{_DECIMAL}$', ['sign', 'whole', 'part', 'power'])"
    digits = f"ltrim({v}.whole || {v}.part, '0')"
    power = f"CASE {v}.power WHEN '' THEN 0 ELSE TRY_CAST({v}.power AS INTEGER)::BIGINT END"
    zeros = f"{field.scale} - length({v}.part) + {power}"
    split = _bound(parts, v, f"{{'sign': {v}.sign, 'digits': {digits}, 'zeros': {zeros}}}")
    size = f"length({v}.digits) + {v}.zeros"
    longer = f"{v}.sign || {v}.digits || repeat('0', {v}.zeros)"
    rest = f"right({v}.digits, -{v}.zeros)"
    shorter = f"{v}.sign || left({v}.digits, {size})"
    unscaled = _bound(
        split,
        v,
        f"CASE WHEN {v}.digits = '' THEN 0::HUGEINT"
        f" WHEN {size} NOT BETWEEN 1 AND {field.precision} THEN NULL"
        f" WHEN {v}.zeros >= 0 THEN TRY_CAST({longer} AS HUGEINT)"
        f" WHEN rtrim({rest}, '0') = '' THEN TRY_CAST({shorter} AS HUGEINT) END",
    )
    return f"CASE WHEN {_matches(text, _DECIMAL)} THEN {unscaled} END"


def _matches(text: str, pattern: str) -> str:
    return f"regexp_full_match({text}, {literal(pattern)})"
