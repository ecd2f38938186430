"""References in values: `${env:NAME}`, `${env:NAME:-default}` and `${file:/path}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from connectors.errors import UserError
from connectors.options import SECRETS
from connectors.text_files import cut, read_text

_REFERENCE: Final = re.compile(
    r"\$\{(?:env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?|file:(?P<file>[^{}:]+))\}"
)
# What a shell or another tool would replace.
_LOOKS_LIKE_ONE: Final = re.compile(r"\$\{[^}]*\}?|^\$[A-Za-z_][A-Za-z0-9_]*\Z")
_SHORTEST_HIDDEN: Final = 4


class References:
    """Replaces references, and knows afterwards which values must not be in a message."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._references: dict[str, str] = {}

    def resolve(self, value: Any, path: str = "") -> Any:
        """Return the value with references replaced; `path` is its key, for messages.

        What was inserted is not searched again, so that a password may contain `${`.

        Raises:
            UserError: a variable is not set, a file cannot be read, or a text only looks like one.
        """
        if isinstance(value, dict):
            below = f"{path}." if path else ""
            return {
                key: self.resolve(item, f"{below}{cut(str(key))}") for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.resolve(item, path) for item in value]
        if not isinstance(value, str):
            return value
        if match := _LOOKS_LIKE_ONE.search(_REFERENCE.sub(" ", value)):
            is_secret = path.rpartition(".")[2] in SECRETS
            reference = "a text" if is_secret else cut(match[0].partition(":-")[0], 40)
            raise UserError(
                f"{path} has {reference}, which looks like a reference and is none; allowed:"
                " ${env:NAME}, ${env:NAME:-default} without braces in it, and ${file:/path} without"
                " a colon in it. A value that contains ${ can come from a variable or file."
            )
        return _REFERENCE.sub(lambda match: self._referenced(match, path), value)

    def hidden(self, message: str) -> str:
        """Return a message with references in place of what they stand for."""
        for value in sorted(self._references, key=len, reverse=True):
            message = message.replace(value, self._references[value])
        return message

    def _referenced(self, match: re.Match[str], path: str) -> str:
        if match["file"]:
            value, reference = _from_file(match["file"], path), f"${{file:{match['file']}}}"
        else:
            reference = f"${{env:{match['name']}}}"
            value = self._environment.get(match["name"], "")
            if not value and match["default"] is not None:
                return match["default"]
            if match["name"] not in self._environment:
                raise UserError(
                    f"{path}: the environment variable {cut(match['name'])} is not set; set it, or"
                    " after `make up` source build/run/env.sh, which has the local servers'."
                )
        if len(value) >= _SHORTEST_HIDDEN:
            self._references[value] = cut(reference)
        return value


def _from_file(name: str, path: str) -> str:
    """Return a file's text without the line breaks at its end."""
    try:
        return read_text(Path(name)).rstrip("\r\n")
    except UserError as error:
        raise UserError(f"{path}: the file {error}") from None
