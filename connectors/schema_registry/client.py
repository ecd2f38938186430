"""The schemas that Avro records were written with, by their id, from a registry or a folder.

An id means one schema for ever, so a schema is asked for once. An id without a schema is a result,
too: `Unknown`. A registry that is away gives no result: whoever asks waits until it is back.
"""

from __future__ import annotations

import logging
import random
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec
import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, SSLError

from connectors.errors import UserError
from connectors.schema_registry.options import SchemaRegistry
from connectors.schema_registry.schema import MOST_BYTES, Unknown, WriterSchema, parse
from connectors.text_files import cut, read_text

LARGEST_ID: Final = 2**31 - 1
"""Ids are ints of Java. Registries answer greater ones in other ways than unknown ones."""

_log = logging.getLogger(__name__)
_ACCEPT: Final = "application/vnd.schemaregistry.v1+json, application/json"
_MOST_UNKNOWN: Final = 10_000
_MOST_REFERENCES: Final = 100
_LOG_SECONDS: Final = 60.0

Found = WriterSchema | Unknown
Fetch = Callable[[int], Found]


class WriterSchemas:
    """The schema of each id, from `fetch`; that an id is unknown is believed for some seconds."""

    def __init__(
        self,
        fetch: Fetch,
        *,
        unknown_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._seconds = unknown_seconds
        self._clock = clock
        self._known: dict[int, WriterSchema] = {}
        self._unknown: dict[int, tuple[float, Unknown]] = {}

    def __call__(self, schema_id: int) -> Found:
        """Return the schema of an id, or that there is none; waits while the registry is away."""
        if known := self._known.get(schema_id):
            return known
        if not 0 <= schema_id <= LARGEST_ID:
            return Unknown(f"schema id {schema_id} is not one of 0 to {LARGEST_ID}")
        until, unknown = self._unknown.get(schema_id, (0.0, None))
        if unknown and self._clock() < until:
            return unknown
        found = self._fetch(schema_id)
        if isinstance(found, WriterSchema):
            self._unknown.pop(schema_id, None)
            self._known[schema_id] = found
            return found
        if len(self._unknown) >= _MOST_UNKNOWN:  # ids of random bytes
            self._unknown.clear()
        found = Unknown(f"schema id {schema_id}: {found.detail}")
        self._unknown[schema_id] = (self._clock() + self._seconds, found)
        return found


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a registry that is away: pauses double, with jitter, up to `longest`.

    After `most` seconds calling the registry raises UserError; None: never.
    """

    first: float = 0.2
    longest: float = 30.0
    most: float | None = None


FOR_EVER: Final = Patience()


def writer_schemas(
    options: SchemaRegistry,
    *,
    on_wait: Callable[[], None] = lambda: None,
    patience: Patience = FOR_EVER,
) -> WriterSchemas:
    """Return the schemas of a registry or a folder, as configured.

    `on_wait` is called before each pause while the registry is away.

    Raises:
        UserError: the options do not fit each other, or there is no such folder.
    """
    options.check()
    if options.folder:
        return WriterSchemas(Folder(Path(options.folder)))
    return WriterSchemas(Registry(options, on_wait=on_wait, patience=patience))


class Folder:
    """A folder of schemas, `<id>.avsc` each. Calling it raises UserError for an unusable file."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise UserError(f"schema_registry.folder: {cut(str(path), 300)} is no folder")
        self._path = path

    def __call__(self, schema_id: int) -> Found:
        file = self._path / f"{schema_id}.avsc"
        if not file.exists():
            return Unknown(f"there is no file {file.name} in schema_registry.folder")
        found = parse(read_text(file))
        if isinstance(found, Unknown):
            raise UserError(f"{cut(str(file), 300)}: {found.detail}")
        return found


class _Away(Exception):
    """The registry gave no answer of its own; the message has no secret."""


class Registry:
    """A registry with Confluent's REST API, whose certificate is always verified.

    Calling it raises UserError if the registry refuses the credentials, or redirects.
    """

    def __init__(
        self,
        options: SchemaRegistry,
        *,
        on_wait: Callable[[], None] = lambda: None,
        patience: Patience = FOR_EVER,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Call `on_wait` before each pause."""
        options.check()
        self._url = options.url.rstrip("/")
        self._headers = {"accept": _ACCEPT, **_basic(options)}
        self._on_wait = on_wait
        self._patience = patience
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        self._logged = -_LOG_SECONDS
        # No proxy of the environment is used, and no answer is asked for compressed.
        self._http = urllib3.PoolManager(
            cert_reqs="CERT_REQUIRED", retries=False, timeout=urllib3.Timeout(timeout)
        )

    def __call__(self, schema_id: int) -> Found:
        """Return the schema of an id; waits while the registry is away."""
        start, pause = self._clock(), self._patience.first
        while True:
            try:
                return self._schema(schema_id)
            except _Away as away:
                waited = self._clock() - start
                if self._patience.most is not None and waited >= self._patience.most:
                    raise UserError(f"the schema registry {self._host} is away: {away}") from None
                self._say(away, waited)
            self._on_wait()
            self._sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, self._patience.longest)

    def check(self) -> None:
        """Ask the registry for its kinds of schemas, once.

        Raises:
            UserError: it is away, refuses the credentials or is no registry.
        """
        try:
            self._get("/schemas/types", list)
        except _Away as away:
            raise UserError(f"the schema registry {self._host} cannot be used: {away}") from None

    @property
    def _host(self) -> str:
        return urlsplit(self._url).netloc

    def _say(self, away: _Away, waited: float) -> None:
        if self._clock() - self._logged >= _LOG_SECONDS:
            self._logged = self._clock()
            _log.warning(
                "schema registry %s is away (%s), records wait since %d s", self._host, away, waited
            )

    def _schema(self, schema_id: int) -> Found:
        answer = self._get(f"/schemas/ids/{schema_id}", dict)
        if isinstance(answer, Unknown):
            return answer
        referenced: dict[tuple[str, int], str] = {}
        problem = _unusable(answer) or self._collect(answer, referenced, depth=0)
        return problem or parse(answer["schema"], list(referenced.values()))

    def _collect(
        self, answer: dict[str, Any], found: dict[tuple[str, int], str], depth: int
    ) -> Unknown | None:
        """Add the texts of the schemas that an answer refers to, those that need others last."""
        for reference in answer.get("references") or []:
            match reference:
                case {"subject": str(subject), "version": int(version)} if version > 0:
                    place = (subject, version)
                case _:
                    return Unknown("it has a reference without subject and version")
            if place in found:
                continue
            if depth >= _MOST_REFERENCES or len(found) >= _MOST_REFERENCES:
                return Unknown(f"it refers to more than {_MOST_REFERENCES} schemas")
            path = f"/subjects/{quote(subject, safe='')}/versions/{version}"
            inner = self._get(path, dict)
            if isinstance(inner, Unknown):
                return Unknown(f"its reference {cut(subject)} version {version}: {inner.detail}")
            if problem := _unusable(inner) or self._collect(inner, found, depth + 1):
                return problem
            found.setdefault(place, inner["schema"])
        return None

    def _get(self, path: str, kind: type) -> Any:
        """Return the JSON of a path, which is of this kind, or `Unknown`."""
        status, body = self._answer(path)
        if status in (401, 403):
            raise UserError(
                f"the schema registry {self._host} answers {status}: check"
                " schema_registry.username and .password, and what this user may read"
            )
        if 300 <= status < 400:
            raise UserError(
                f"the schema registry {self._host} answers {status}, a redirect, which is not"
                " followed: give the final address as schema_registry.url"
            )
        if status == 429 or status >= 500:
            raise _Away(f"it answers {status}")
        if body is None:
            return Unknown(f"the registry's answer has more than {MOST_BYTES:,} bytes")
        try:
            content = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            content = None
        if status == 200 and isinstance(content, kind):
            return content
        if status != 200 and isinstance(content, dict) and type(content.get("error_code")) is int:
            message = cut(str(content.get("message", "")), 200)
            return Unknown(f"the registry answers {content['error_code']}: {message}")
        # A proxy whose registry is away, for example, answers 404 with a page of its own.
        raise _Away(f"it answers {status}, but not as a registry: is schema_registry.url right?")

    def _answer(self, path: str) -> tuple[int, bytes | None]:
        """Return status and body; None in place of a body that is too large."""
        deadline = self._clock() + 6 * self._timeout
        body, whole = bytearray(), False
        try:
            response: Any = self._http.request(
                "GET", self._url + path, headers=self._headers, redirect=False,
                preload_content=False,
            )  # fmt: skip
            try:
                while part := response.read(65_536, decode_content=False):
                    body += part
                    if len(body) > MOST_BYTES:
                        return response.status, None
                    if self._clock() > deadline:
                        raise _Away("it answers too slowly")
                whole = True
            finally:
                if not whole:
                    response.close()  # the rest of the answer is not waited for
                response.release_conn()
        except LocationParseError:
            raise UserError("schema_registry.url: is not a URL like https://HOST:PORT") from None
        except SSLError:
            raise _Away("TLS failed: is the certificate trusted and for this host?") from None
        except HTTPError as error:  # its message may quote the request
            raise _Away(f"no answer: {type(error).__name__}") from None
        return response.status, bytes(body)


def _unusable(answer: dict[str, Any]) -> Unknown | None:
    kind = answer.get("schemaType") or "AVRO"
    if kind != "AVRO":
        return Unknown(f"it is a schema of type {cut(str(kind))}, not AVRO")
    if not isinstance(answer.get("schema"), str):
        return Unknown("the registry's answer has no schema")
    references = answer.get("references") or []
    return None if isinstance(references, list) else Unknown("its references are no list")


def _basic(options: SchemaRegistry) -> dict[str, str]:
    """Encode in UTF-8, as urllib3 would in Latin-1."""
    if not options.username:
        return {}
    pair = f"{options.username}:{options.password}"
    return {"authorization": "Basic " + b64encode(pair.encode()).decode("ascii")}
