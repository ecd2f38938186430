"""Convert plain data to a `Config`, and tell every mistake in it, not only the first one.

msgspec stops at the first mistake. So what is wrong is taken out, and the rest is tried again.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from connectors.errors import Mistakes, UserError
from connectors.options import ALLOWED, SECRETS, Section
from connectors.text_files import cut, shown
from pipeline.config.model import REMOVED, Config
from pipeline.config.references import References

# Sections with any number of entries, each under a name that the user chooses.
ENTRIES = frozenset({"clusters", "replicate"})
_MOST = 50
_DURATION = re.compile(r"([0-9.]+) ?(ms|s|sec|m|min|h|d)")
_MISSING = re.compile(r"Object missing required field `(\w+)`")

Path = tuple[Any, ...]
"""The names of a section, perhaps of an entry, and perhaps of a key."""


def converted(
    content: Mapping[str, Any], references: References, mistakes: Mistakes
) -> Config | None:
    """Return the configuration, and collect the mistakes; None if one cannot be taken out."""
    parts = {name: _copy(section, 1 + (name in ENTRIES)) for name, section in content.items()}
    taken = set()
    for path, why in list(_refused(parts, references)):
        mistakes.messages.append(why)
        taken.add(_take_out(parts, path))
    for _ in range(_MOST):
        try:
            return msgspec.convert(parts, Config)
        except msgspec.ValidationError as error:
            text = _with_words(_with_choices(_with_entry(str(error), parts)))
        path, missing = _path(text), _MISSING.match(text)
        if not (missing and (*path, missing[1]) in taken):
            mistakes.messages.append(f"{text}{_value_at(content, text)} See conf/reference.yaml.")
        if not path:
            return None
        taken.add(_take_out(parts, path))
    return None


def _copy(value: Any, depth: int) -> Any:
    if not depth or not isinstance(value, Mapping):
        return value
    return {key: _copy(below, depth - 1) for key, below in value.items()}


def _take_out(parts: dict[Any, Any], path: Path) -> Path:
    """Remove what the path leads to; return the path to what was removed."""
    inner = parts
    for depth, name in enumerate(path):
        below = inner[name]
        is_key = depth == (2 if path[0] in ENTRIES else 1)
        if is_key or depth == len(path) - 1 or not isinstance(below, dict):
            del inner[name]
            return path[: depth + 1]
        inner = below
    return path


def _refused(parts: dict[Any, Any], references: References) -> Iterator[tuple[Path, str]]:
    """Yield unknown sections and keys and why they are, and references that lead to nothing.

    Put what references stand for in their places.
    """
    known = sections()
    for name, section in parts.items():
        if why := _unknown(name, known, "section "):
            yield (name,), why
            continue
        for path, keys in _groups(name, section):
            for key in keys:
                where = ".".join(cut(str(part)) for part in path)
                if why := _removed(f"{name}.{key}") or _unknown(
                    key, known[name].__struct_fields__, f"key {where}."
                ):
                    yield (*path, key), why
                    continue
                try:
                    keys[key] = references.resolve(keys[key], f"{where}.{cut(str(key))}")
                except UserError as error:
                    yield (*path, key), str(error)


def _groups(name: str, section: Any) -> Iterator[tuple[Path, dict[Any, Any]]]:
    """Yield the section, or its entries, with their keys."""
    entries: dict[Path, Any] = {(name,): section}
    if name in ENTRIES:
        below = section if isinstance(section, dict) else {}
        entries = {(name, entry): keys for entry, keys in below.items()}
    yield from ((path, keys) for path, keys in entries.items() if isinstance(keys, dict))


def _path(text: str) -> Path:
    """Return the names in msgspec's message: `$.lake.path`; empty if it is about the whole."""
    match = re.search(r"`\$\.([^`]+)`", text)
    return tuple(re.findall(r"[^.\[\]]+", match[1])) if match else ()


def sections() -> dict[str, type[Section]]:
    """Return the model's sections by name, in order; for `ENTRIES`, the section of one entry."""
    hints = get_type_hints(Config)
    return {name: _section_of(hint) for name, hint in hints.items()}


def _section_of(hint: Any) -> type[Section]:
    kinds = [kind for kind in (hint, *get_args(hint)) if isinstance(kind, type)]
    return next(kind for kind in kinds if issubclass(kind, Section))


def _removed(key: str) -> str:
    """Return what replaces a key of an earlier release; empty if the key is none."""
    instead = REMOVED.get(key)
    return f"key {key} was removed in 0.3.0; {instead}. See docs/upgrade.md." if instead else ""


def _unknown(key: object, allowed: Collection[str], what: str) -> str:
    """Return why a key is unknown; empty if it is allowed."""
    if key in allowed:
        return ""
    name, names = cut(str(key)), list(allowed)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean `{near[0]}`?" if near else f"allowed: {', '.join(names)}."
    return f"{what}{name} is unknown; {hint} See conf/reference.yaml."


def _with_entry(text: str, resolved: Mapping[str, Any]) -> str:
    """Return msgspec's message with the name of the entry in place of `[...]`."""
    for section in ENTRIES:
        if f"`$.{section}[...]" in text:
            kind = sections()[section]
            entry = next(name for name, keys in resolved[section].items() if _is_bad(keys, kind))
            return text.replace("[...]", f".{entry}", 1)
    return text


def _is_bad(keys: Any, kind: type[Section]) -> bool:
    try:
        msgspec.convert(keys, kind)
    except msgspec.ValidationError:
        return True
    return False


def _with_choices(text: str) -> str:
    """Return msgspec's message with the allowed values in place of the wrong one."""
    if not text.startswith("Invalid enum value"):
        return text
    place = text[text.rindex(" - at ") :]
    section, *_, key = re.findall(r"[a-z][a-z0-9_]*", re.sub(r"\[\d+\]", "", place[6:]))
    choices = _literals(get_type_hints(sections()[section])[key])
    return f"Expected one of {', '.join(choices)}{place}"


def _with_words(text: str) -> str:
    """Return msgspec's message with what a pattern allows in place of the pattern."""
    for pattern, allowed in ALLOWED.items():
        text = text.replace(f"`str` matching regex {pattern!r}", allowed)
    return text


def _literals(hint: Any) -> list[str]:
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [value for part in get_args(hint) for value in _literals(part)]


def _value_at(content: Any, text: str) -> str:
    """Return the value that msgspec's message is about, unless it is a secret or a section.

    `content` is the configuration as it was written: a reference is shown, not what it stands for.
    """
    path = _path(text)
    value: Any = content
    for key in path:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list | tuple) and key.isdecimal():
            value = value[int(key)]
        else:
            value = None
    if "at `key`" in text and isinstance(value, Mapping):
        return f"; the names are {cut(', '.join(map(str, value)), 300)}."
    if len(path) < 2 or SECRETS & set(path) or isinstance(value, Mapping):
        return "."
    return f"; the value is {shown(value)}.{_hint(text, value)}"


def _hint(text: str, value: object) -> str:
    """Return what to write instead, for the mistakes that other tools' formats suggest."""
    if "`str`, got" in text and not isinstance(value, list):
        return " Put it in quotes."
    if "`array`, got" in text:
        return " Write a list, such as [a, b]."
    if isinstance(value, str):
        if re.fullmatch(r"s3n?://.*", value):
            return " Write s3a:// in place of s3://."
        if "got `str`" in text and (timed := _DURATION.fullmatch(value)):
            number = f": {timed[1]}." if timed[2] in ("s", "sec") else "."
            return f" Write the seconds as a number, without a unit{number}"
    return ""
