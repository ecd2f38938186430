"""Parse JSON text strictly and exactly, for the reference decoder: nothing rounded or dropped.

The grammar is Python's `json` in strict mode, minus NaN and Infinity, with duplicate keys, integers
beyond 64 bits, numbers that a double can't hold or holds as 0 only, lone surrogates and control
characters reported by their path.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

import msgspec

from pipeline.events.model import Field, Kind

MAX_DEPTH: Final = 32
"""Deepest accepted nesting of arrays and objects (OpenSearch's own limit is 20)."""

_TOKENS: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|$)|[\[{]|[\]}]', re.DOTALL)
_CUT_SHORT: Final = re.compile(
    r"\s*|-|t|tr|tru|f|fa|fal|fals|n|nu|nul|\.[0-9]*|\.?[0-9]*[eE][+-]?|\\(?:u[0-9a-fA-F]{0,4})?"
)
_PLAIN_KEY: Final = re.compile(r"\w{1,64}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_FORMATS: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"\x04\x22\x4d\x18", "LZ4"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (b"\xef\xbb\xbf", "a byte order mark"),
    (b"{\x00", "UTF-16"),
    (b"\x00{", "UTF-16"),
)


class Refused(Exception):
    """The text is rejected: the reason code and the detail for the dead letter."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class _Members:
    pairs: list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class _Literal:
    """A number that Python would change or refuse: its text, and the reason code."""

    text: str
    reason: str
    allowed: str

    @property
    def is_number(self) -> bool:
        """Whether it is a number at all: not NaN or Infinity."""
        return self.text.lstrip("-")[0] in "0123456789"


@dataclass(slots=True)  # not frozen, which would triple the time to make one
class _Number:
    """A number that has several texts, such as 1.50, and the one that it was written as."""

    text: str
    number: int | float


def refuse(reason: str, where: str, value: object, allowed: str) -> NoReturn:
    """Raise `Refused` with a detail in the form that all details have."""
    raise Refused(reason, f"{where}: saw {shown(value)}; allowed: {allowed}")


def shown(value: object) -> str:
    """Return the value as ASCII JSON of at most 80 characters; control characters are escaped."""
    if isinstance(value, bytes):
        value = value[:80].decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        return _bounded(json.dumps(value[:81]))
    if isinstance(value, dict):
        return f"an object of {len(value)} members"
    if isinstance(value, list):
        return f"an array of {len(value)} items"
    if isinstance(value, Decimal):
        return _bounded(str(value))
    return _bounded(json.dumps(value))


def _bounded(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON text whose grammar is correct; `value` checks its content."""

    tree: Any

    def text_at(self, path: Sequence[str]) -> str:
        """Return the string that a path of keys leads to, or "" if there is none."""
        found = self.tree if path else None
        for key in path:
            pairs = found.pairs if isinstance(found, _Members) else []
            found = next((value for name, value in pairs if name == key), None)
        return found if isinstance(found, str) else ""

    def value(self, fields: Sequence[Field] = ()) -> Any:
        """Return the whole value; `Refused` for a duplicate key or an unacceptable value.

        Numbers where the fields have decimals are `Decimal`, exactly as they were written.
        """
        return _plain(self.tree, "$", Field("", "record", children=tuple(fields)))

    def members_text(self, keys: Container[str]) -> str:
        """Return these top-level members as JSON with their numbers as they were written.

        Keys are sorted, and there is no white space. `value` must have accepted the document.
        """
        members = {key: _as_written(value) for key, value in self.tree.pairs if key in keys}
        return _CANONICAL.encode(members).decode()


def read(raw: bytes) -> Document:
    """Parse the bytes; `Refused` says why they are not JSON text."""
    text = _text(raw)
    if not text.strip(" \t\r\n"):
        raise Refused("empty_payload", "payload: saw only white space; allowed: one JSON object")
    _check_depth(text)
    try:
        value, end = _DECODER.raw_decode(text, len(text) - len(text.lstrip(" \t\r\n")))
    except json.JSONDecodeError as error:
        _refuse_syntax(raw, text, error)
    if rest := text[end:].strip(" \t\r\n"):
        refuse("invalid_json", f"character {end}", rest[:80], "nothing after the JSON value")
    return Document(value)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end == len(raw) and error.reason == "unexpected end of data":
            raise Refused("truncated_json", "payload: ends within a UTF-8 character") from error
        excerpt = raw[max(0, error.start - 20) : error.end + 10]
        where = f"byte {error.start}{_hint(raw)}"
        refuse("invalid_utf8", where, excerpt, "UTF-8")


def _hint(raw: bytes) -> str:
    name = next((name for start, name in _FORMATS if raw.startswith(start)), None)
    return f" (begins like {name})" if name else ""


def _check_depth(text: str) -> None:
    depth = 0
    for token in _TOKENS.finditer(text):
        first = text[token.start()]
        if first in "[{":
            depth += 1
        elif first in "]}":
            depth -= 1
        if depth > MAX_DEPTH:
            raise Refused(
                "nested_too_deep", f"character {token.start()}: allowed: {MAX_DEPTH} deep"
            )


def _refuse_syntax(raw: bytes, text: str, error: json.JSONDecodeError) -> NoReturn:
    rest = text[error.pos :]
    if error.msg.startswith("Invalid \\u"):
        rest = "\\" + rest
    unterminated = error.msg.startswith("Unterminated string")
    if unterminated or (_CUT_SHORT.fullmatch(rest) and not error.msg.startswith("Invalid control")):
        raise Refused("truncated_json", f"payload: ends after {len(text)} characters: {error.msg}")
    where = f"character {error.pos}{_hint(raw)}"
    if error.msg.startswith("Invalid control"):
        refuse("control_character", where, rest[:20], "no control characters in text")
    refuse("invalid_json", where, rest[:80], f"JSON as in RFC 8259: {error.msg}")


def _whole(text: str) -> int | _Number | _Literal:
    if len(text) <= 20 and -(2**63) <= int(text) < 2**63:
        return _Number(text, 0) if text == "-0" else int(text)
    return _Literal(text, "integer_overflow", "integers of 64 bits")


def _fraction(text: str) -> _Number | _Literal:
    number = float(text)
    if not math.isfinite(number):
        return _not_finite(text)
    if number == 0 and text.lower().partition("e")[0].strip("-0."):
        return _Literal(text, "out_of_range", "0, or a number that a double does not round to 0")
    return _Number(text, number)


def _not_finite(text: str) -> _Literal:
    return _Literal(text, "not_finite", "finite numbers")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_Members,
    parse_int=_whole,
    parse_float=_fraction,
    parse_constant=_not_finite,
)


def _plain(value: Any, path: str, field: Field | None) -> Any:
    if isinstance(value, _Members):
        return _plain_object(value, path, field)
    if isinstance(value, list):
        item = _child(field, "array")
        return [_plain(each, f"{path}[{at}]", item) for at, each in enumerate(value)]
    if field is not None and field.kind == "decimal" and _is_number(value):
        return _decimal(value if type(value) is int else value.text, path)
    if isinstance(value, _Literal) and (number := _long_number(value, field)) is not None:
        return number
    if isinstance(value, _Number):
        return value.number
    if isinstance(value, _Literal):
        refuse(value.reason, path, value.text[:80], value.allowed)
    if isinstance(value, str):
        _check_text(value, path)
    return value


def _long_number(literal: _Literal, field: Field | None) -> float | None:
    """Return an integer of more than 64 bits where the field has such doubles; else None."""
    if literal.reason != "integer_overflow":
        return None
    for kind in ("double", "float"):
        found = _branch(field, kind)
        if found and found.minimum is not None and found.maximum is not None:
            number = float(literal.text)
            return number if found.minimum <= number <= found.maximum else None
    return None


def _plain_object(members: _Members, path: str, field: Field | None) -> dict[str, Any]:
    result: dict[str, Any] = {}
    record, entry = _branch(field, "record"), _child(field, "map")
    fields = {child.name: child for child in record.children} if record else {}
    for key, value in members.pairs:
        below = f"{path}.{key if _PLAIN_KEY.fullmatch(key) else shown(key)}"
        _check_text(key, below)
        if key in result:
            raise Refused("duplicate_key", f"{below}: saw it again; allowed: each key once")
        result[key] = _plain(value, below, fields.get(key, entry))
    return result


def _branch(field: Field | None, kind: Kind) -> Field | None:
    """Return the field if it is of that kind, or the branch of a union that is."""
    branches = field.children if field is not None and field.kind == "union" else (field,)
    return next((each for each in branches if each is not None and each.kind == kind), None)


def _child(field: Field | None, kind: Kind) -> Field | None:
    of_kind = _branch(field, kind)
    return of_kind.children[0] if of_kind else None


def _is_number(value: Any) -> bool:
    return type(value) in (int, _Number) or (isinstance(value, _Literal) and value.is_number)


def _decimal(number: int | str, path: str) -> Decimal:
    try:
        return Decimal(number)
    except InvalidOperation:  # an exponent of many digits
        refuse("out_of_range", path, str(number)[:80], "a number that a decimal can hold")


def _as_written(value: Any) -> Any:
    if isinstance(value, _Members):
        return {key: _as_written(below) for key, below in value.pairs}
    if isinstance(value, list):
        return [_as_written(item) for item in value]
    return msgspec.Raw(value.text.encode()) if isinstance(value, _Number) else value


_CANONICAL: Final = msgspec.json.Encoder(order="sorted")


def _check_text(text: str, path: str) -> None:
    if _SURROGATE.search(text):
        refuse("invalid_utf8", path, text, "text without halves of surrogate pairs")
    if _CONTROL.search(text):
        refuse("control_character", path, text, "no control characters in text")
