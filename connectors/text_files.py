"""Text that people write: files in UTF-8, JSON without repeated keys, and values in messages."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, Final, NoReturn

from connectors.errors import UserError

_LONGEST_SHOWN: Final = 80
_DEEPEST: Final = 100
_JSON_TOKEN: Final = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|[{}\[\]]')


def read_text(path: Path, advice: str = "") -> str:
    """Return a file's text; a byte order mark at its start is not part of it.

    Raises:
        UserError: it cannot be read or is not UTF-8; the message quotes none of its content.
    """
    name = cut(str(path), 300)
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror}).{advice}") from error
    except UnicodeDecodeError as error:
        message = f"{name}: is not UTF-8, see its byte {error.start + 1}; save it as UTF-8."
        raise UserError(message) from None  # the cause holds the whole content
    except ValueError as error:  # the name has a NUL
        raise UserError(f"{name}: cannot be read ({error}).{advice}") from error


def read_certificates(ca_file: str, key: str) -> str:
    """Return the text of a PEM file; UserError with the configuration's key if it is none."""
    try:
        text = read_text(Path(ca_file), " Give the path of a PEM file.")
    except UserError as error:
        raise UserError(f"{key}: {error}") from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise UserError(f"{key}: {masked(ca_file)} has no certificate in PEM format.")
    return text


def parse_json(text: str, where: str) -> Any:
    """Parse JSON: every key of an object given once, every number one that a double can hold.

    Raises:
        UserError: it is not; the message starts with `where` and has the line numbers.
    """
    try:
        content = json.loads(text, parse_constant=_refuse_constant, parse_float=_double)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not JSON in UTF-8: {cut(str(error), 200)}") from None
    _refuse_repeated_keys(text, where)
    return content


def cut(text: str, longest: int = _LONGEST_SHOWN) -> str:
    """Return a text for a message: printable, and an ellipsis in place of what is too long."""
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: longest + 1])
    return plain if len(plain) <= longest else plain[: longest - 3] + "..."


def masked(text: str) -> str:
    """Return a configured text for a message: cut, without credentials that a URL may have."""
    without_user = re.sub(r"(?s)^.*@", "********@", text)
    return cut(re.sub(r"(?s)(//[^?#]*[?#]).*", r"\1********", without_user))


def shown(value: object) -> str:
    """Return a value for a message, see `masked`; containers are named only.

    >>> shown("http://user:word@host")
    "'********@host'"
    """
    if isinstance(value, str):
        return f"'{masked(value)}'"
    if isinstance(value, dict | list | tuple):
        return "a list" if not isinstance(value, dict) else "a mapping"
    return cut(repr(value))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _double(text: str) -> float:
    """Return a number as a double; ValueError if that would be infinite or wrongly zero."""
    number = float(text)
    if math.isinf(number) or (number == 0 and re.search("[1-9]", text.lower().partition("e")[0])):
        raise ValueError(f"a double cannot hold {cut(text)}")
    return number


def _refuse_repeated_keys(text: str, where: str) -> None:
    """Scan valid JSON: a string before a colon is a key of the innermost object."""
    open_objects: list[dict[str, int]] = []
    for token in _JSON_TOKEN.finditer(text):
        if token[0] in "{[":
            open_objects.append({})
        elif token[0] in "]}":
            open_objects.pop()
        elif token[2]:
            key, line = json.loads(token[1]), text.count("\n", 0, token.start()) + 1
            if key in open_objects[-1]:
                first = open_objects[-1][key]
                raise UserError(
                    f"{where}: the key {shown(key)} is given twice, in line {first} and in line"
                    f" {line}; keep one."
                )
            open_objects[-1][key] = line
        if len(open_objects) > _DEEPEST:
            raise UserError(f"{where}: nested deeper than {_DEEPEST} levels")
