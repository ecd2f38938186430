"""Parse raw records into structs: by a tag in the event, or by a name that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Union

import msgspec
from msgspec import UNSET, Struct, UnsetType

from pipeline.decode.structs import Shape, attribute
from pipeline.decode.type_rule import TypeRule

_NO_TEXT: Final = "\x00"
"""A tag that no type can have."""
_REFUSALS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

Parser = Callable[[Sequence[bytes | None], Sequence[str | None] | None], list[Struct | None]]
"""Returns each record's event, None where msgspec refuses it.

Its second argument is what headers or topics say of the types.
"""


def parser(shapes: Sequence[Shape], rule: TypeRule) -> Parser:
    """Return the function that parses raw records by the rule."""
    if rule.tag:
        return _tagged(shapes)
    by_text = {rule.text(shape.name): msgspec.json.Decoder(shape.struct).decode for shape in shapes}
    if rule.constant:
        return _constant(by_text[rule.text(rule.constant)])
    return _in_event(by_text, rule.path) if rule.path else _named(by_text)


def _tagged(shapes: Sequence[Shape]) -> Parser:
    """Return the parser of records whose tag selects the struct."""
    structs = tuple(shape.struct for shape in shapes)
    if len(structs) > 1:
        return _constant(msgspec.json.Decoder(Union[structs]).decode)  # noqa: UP007
    # Of a single struct, msgspec requires no tag: a second one makes it.
    other = msgspec.defstruct("Other", [], tag_field=shapes[0].tag, tag=_NO_TEXT)
    parse = _constant(msgspec.json.Decoder(Union[(*structs, other)]).decode)

    def parse_one(
        raws: Sequence[bytes | None], names: Sequence[str | None] | None
    ) -> list[Struct | None]:
        return [None if type(event) is other else event for event in parse(raws, names)]

    return parse_one


def _constant(decode: Callable[[bytes], Struct]) -> Parser:
    def parse(
        raws: Sequence[bytes | None], names: Sequence[str | None] | None
    ) -> list[Struct | None]:
        parsed: list[Struct | None] = []
        for raw in raws:
            try:
                parsed.append(decode(raw or b""))
            except _REFUSALS:
                parsed.append(None)
        return parsed

    return parse


def _named(by_text: Mapping[str, Callable[[bytes], Struct]]) -> Parser:
    def parse(
        raws: Sequence[bytes | None], names: Sequence[str | None] | None
    ) -> list[Struct | None]:
        parsed: list[Struct | None] = []
        for raw, name in zip(raws, names or [None] * len(raws), strict=True):
            decode = by_text.get(name or "")
            try:
                parsed.append(decode(raw or b"") if decode else None)
            except _REFUSALS:
                parsed.append(None)
        return parsed

    return parse


def _in_event(by_text: Mapping[str, Callable[[bytes], Struct]], path: Sequence[str]) -> Parser:
    told, named = _teller(path), _named(by_text)

    def parse(
        raws: Sequence[bytes | None], names: Sequence[str | None] | None
    ) -> list[Struct | None]:
        return named(raws, [told(raw or b"") for raw in raws])

    return parse


def _teller(path: Sequence[str]) -> Callable[[bytes], str]:
    """Return a function for the text at the path in a record; empty if there is none."""
    kind: Any = str
    for name in reversed(path):
        members = [(attribute(name), kind | UnsetType, UNSET)]
        kind = msgspec.defstruct("Told", members, rename={attribute(name): name}, gc=False)
    decode = msgspec.json.Decoder(kind).decode
    attributes = [attribute(name) for name in path]

    def told(raw: bytes) -> str:
        try:
            found: Any = decode(raw)
        except _REFUSALS:
            return ""
        for name in attributes:
            found = getattr(found, name, UNSET)
        return found if isinstance(found, str) else ""

    return told
