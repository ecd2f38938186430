"""Marks of what was redriven to a stream or to the index: JSON objects on S3.

They are written after the acknowledgement: after a crash in between a record is sent again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import msgspec
from botocore.config import Config as Settings

from pipeline.config import Config
from pipeline.dead_letters.letter import mark_of
from pipeline.errors import UserError
from pipeline.readers.storage import Store, store_at

_FOLDER: Final = "_redriven"  # Readers of the path pass over what begins with an underscore.


class Marked(msgspec.Struct, forbid_unknown_fields=True):
    """One object: what one batch of one run redrove."""

    run: str
    time: str
    redriven: list[str]


class StoredMarks:
    """The marks below one path, s3a:// or file://."""

    def __init__(self, path: str, environment: Mapping[str, str]) -> None:
        self._path = f"{path.rstrip('/')}/{_FOLDER}"
        self._environment = environment
        self._run = uuid.uuid4().hex
        self._written = 0

    def read(self) -> set[bytes]:
        """Everything marked; UserError for an object that is none of ours."""
        store = store_at(self._path, self._environment)
        return {mark_of(one) for marked in self._objects(store) for one in marked.redriven}

    def write(self, identities: list[str]) -> None:
        """Mark what is acknowledged."""
        if not identities:
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        content = msgspec.json.encode(Marked(self._run, now, identities))
        put(f"{self._path}/{self._run}-{self._written}.json", content, self._environment)
        self._written += 1

    def _objects(self, store: Store) -> Iterable[Marked]:
        for stored in store.listing():
            try:
                yield msgspec.json.decode(store.read(stored.path), type=Marked)
            except msgspec.MsgspecError as error:
                raise UserError(
                    f"{self._path}/{stored.path} is no record of what was redriven: {error}"
                ) from error


def marks_path(config: Config) -> str:
    """Where marks are stored: below the dead letters' S3 path, else the archive's; empty if none"""
    letters, archive = config.dead_letters, config.archive
    given = (letters.path, letters.large_path) if letters else ()
    return next((path for path in (*given, archive.path if archive else "") if path), "")


def needed_path(config: Config) -> str:
    """As `marks_path`; UserError where there is none."""
    path = marks_path(config)
    if not path:
        raise UserError(
            "what is redriven to a Kinesis stream, or of one to the index, is remembered on S3, and"
            " the configuration has no path for it; give dead_letters.large_path or archive.path."
        )
    return path


def put(path: str, content: bytes, environment: Mapping[str, str]) -> None:
    """Write one object, whole or not at all."""
    parts = urlsplit(path)
    if parts.scheme == "file":
        target = Path(parts.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f".{target.name}")
        half.write_bytes(content)
        half.rename(target)
        return
    _client(environment).put_object(Bucket=parts.netloc, Key=parts.path.strip("/"), Body=content)


def _client(environment: Mapping[str, str]) -> Any:
    endpoint = environment.get("S3_ENDPOINT")
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=environment.get("AWS_SESSION_TOKEN"),
        region_name=environment.get("AWS_REGION") or ("us-east-1" if endpoint else None),
        config=Settings(
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": 8},
            s3={"addressing_style": "path"},
        ),
    )
