"""The redrive log of a stream or of the index: JSON objects on S3.

Entries are written after the acknowledgement: after a crash in between, a record is sent again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from connectors.errors import UserError
from connectors.s3.store import open_store
from pipeline.config.model import Config
from pipeline.ops.dead_letters.letter import log_key

_FOLDER: Final = "_redriven"  # Readers of the path pass over what begins with an underscore.


class Batch(msgspec.Struct, forbid_unknown_fields=True):
    """One object: what one batch of one run redrove."""

    run: str
    time: str
    redriven: list[str]


class StoredLog:
    """The log below one path, s3a:// or file://."""

    def __init__(self, path: str, environment: Mapping[str, str]) -> None:
        self._store = open_store(f"{path.rstrip('/')}/{_FOLDER}", environment)
        self._run = uuid.uuid4().hex
        self._written = 0

    def read(self) -> set[bytes]:
        """Return all entries; UserError for an object that is no part of the log."""
        return {log_key(one) for marked in self._objects() for one in marked.redriven}

    def write(self, identities: list[str]) -> None:
        """Write entries for what is acknowledged."""
        if not identities:
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        content = msgspec.json.encode(Batch(self._run, now, identities))
        self._store.write(f"{self._run}-{self._written}.json", content)
        self._written += 1

    def _objects(self) -> Iterable[Batch]:
        for stored in self._store.listing():
            try:
                yield msgspec.json.decode(self._store.read(stored.path), type=Batch)
            except msgspec.MsgspecError as error:
                raise UserError(
                    f"{self._store.uri}/{stored.path} is no record of what was redriven: {error}"
                ) from error


def log_path(config: Config) -> str:
    """Return the log's path: below the dead letters' S3 path, else the archive's; or empty."""
    letters, archive = config.dead_letters, config.archive
    given = (letters.path, letters.large_path) if letters else ()
    return next((path for path in (*given, archive.path if archive else "") if path), "")


def needed_path(config: Config) -> str:
    """Return `log_path`; UserError if it is empty."""
    path = log_path(config)
    if not path:
        raise UserError(
            "what is redriven to a Kinesis stream, or of one to the index, is remembered on S3, and"
            " the configuration has no path for it; give dead_letters.large_path or archive.path."
        )
    return path
