"""Options of the registry, or the folder, that holds the schemas of Avro records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from connectors.errors import UserError
from connectors.options import LOOPBACK, OptionalLine, OptionalLocalPath, Section, doc, whole
from connectors.text_files import masked

OptionalUrl = Annotated[
    str,
    whole(
        r"(?:https?://[^/\s\x00-\x1f\x7f]+(/[^\s\x00-\x1f\x7f]*)?)?", "a URL like https://HOST:PORT"
    ),
]


class SchemaRegistry(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the schemas of Avro records come from: a registry, or a folder."""

    url: Annotated[
        OptionalUrl,
        doc("Of a registry with Confluent's REST API. A user's password needs https."),
    ] = ""
    username: Annotated[OptionalLine, doc("For basic authentication; empty: none.")] = ""
    password: Annotated[
        OptionalLine, doc("Use ${env:NAME} or ${file:/path}, never the password itself.")
    ] = ""
    folder: Annotated[
        OptionalLocalPath, doc("In place of a registry: a folder of files ID.avsc.")
    ] = ""

    def problems(self) -> Iterator[str]:
        """Yield one message for each key that does not fit the others."""
        if bool(self.url) == bool(self.folder):
            yield "schema_registry: give url or folder, one of them"
        if bool(self.username) != bool(self.password) or (self.username and not self.url):
            yield "schema_registry: username and password belong together, and to url"
        if ":" in self.username:
            yield "schema_registry.username: basic authentication allows no colon in it"
        if self.url and (problem := url_problem(self.url, has_password=bool(self.password))):
            yield problem

    def check(self) -> None:
        """Raise UserError if the keys do not fit each other."""
        for problem in self.problems():
            raise UserError(problem)


def url_problem(url: str, *, has_password: bool) -> str:
    """Return why a URL cannot be used; empty if it is http or https and sends no secret plainly."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port or an IPv6 address
        return f"schema_registry.url: {masked(url)} is not a URL like https://HOST:PORT/PATH"
    where = f"schema_registry.url: {masked(url)}"
    if not valid or "?" in url or "#" in url:
        return f"{where} is not a URL like https://HOST:PORT/PATH"
    if "@" in parts.netloc:
        return f"{where} has a user in it; use schema_registry.username and .password"
    if has_password and parts.scheme == "http" and parts.hostname not in LOOPBACK:
        return f"{where} would send the password in the clear; use https"
    return ""
