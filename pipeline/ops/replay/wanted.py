"""The few fields of an event that the input itself wants: its time, and its key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from connectors.errors import UserError

REFUSALS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Reads JSON into a struct of the wanted fields alone; the others are only passed over."""

    decode: Callable[[bytes], Struct]
    _time: Callable[[Struct], str]
    _key: Callable[[Struct], Any] | None

    def times(self, events: Sequence[Struct]) -> list[str]:
        """The texts that say when the events happened."""
        return list(map(self._time, events))

    def keys(self, events: Sequence[Struct]) -> list[bytes | None]:
        """A text's UTF-8, the JSON of anything else; None where it is null or not there."""
        if self._key is None:
            return [None] * len(events)
        if self._key is self._time:
            return [self._time(event).encode() for event in events]
        found = map(bytes, map(self._key, events))
        return [text if text.isdigit() else _plain(text) for text in found]


def wanted(time_field: str, key_field: str) -> Wanted:
    """What reads these fields; dots lead into objects. An event without the time is refused.

    Raises:
        UserError: a name is empty, or one field lies within the other.
    """
    tree: _Tree = {}
    time = _place(tree, time_field, str)
    key = time if key_field == time_field else _place(tree, key_field, Raw) if key_field else None
    struct = _struct(tree)
    return Wanted(msgspec.json.Decoder(struct).decode, time, key)


def _place(tree: _Tree, path: str, kind: type) -> Callable[[Struct], Any]:
    *folders, leaf = path.split(".")
    names = []
    for name in folders:
        tree = tree.setdefault(name, {}) if name else {}
        names.append(_attribute(name))
        if not name or not isinstance(tree, dict):
            raise _misnamed(path)
    if not leaf or leaf in tree:
        raise _misnamed(path)
    tree[leaf] = kind
    return attrgetter(".".join([*names, _attribute(leaf)]))


def _misnamed(path: str) -> UserError:
    return UserError(
        f"cannot find events by the field {path!r}: give a name, or several with dots between"
        " them, and no field that lies within the other one"
    )


def _attribute(name: str) -> str:
    """A name that Python takes, whatever the field is called."""
    return "f" + name.encode().hex()


def _struct(tree: _Tree) -> type[Struct]:
    members = [_member(name, kind) for name, kind in tree.items()]
    return msgspec.defstruct(
        "Wanted",
        members,
        rename={_attribute(name): name for name in tree},
        kw_only=True,
        gc=False,
    )


def _member(name: str, kind: Any) -> tuple[str, Any] | tuple[str, Any, Any]:
    attribute = _attribute(name)
    if kind is str:
        return attribute, str
    if kind is Raw:
        return attribute, Raw, Raw(b"")
    struct = _struct(kind)
    if _has_time(kind):
        return attribute, struct
    return attribute, struct, msgspec.field(default_factory=struct)


def _has_time(tree: _Tree) -> bool:
    return any(_has_time(kind) if isinstance(kind, dict) else kind is str for kind in tree.values())


def _plain(text: bytes) -> bytes | None:
    if text in (b"", b"null"):
        return None
    if not text.startswith(b'"'):
        return text
    try:
        return msgspec.json.decode(text, type=str).encode()
    except REFUSALS:
        return text
