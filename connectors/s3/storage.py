"""Lists and reads what lies under an S3 prefix or in a local folder, without the job's code."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.config import Config
from pyarrow import fs

from connectors.errors import UserError

_READERS: Final = 8
_SETTINGS: Final = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 8},
    s3={"addressing_style": "path"},
)
_FILES_AT_A_TIME: Final = 256
_LARGE_BYTES: Final = 16 * 1024 * 1024
_PAGE_ROWS: Final = 16_384
_BUFFER_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Access:
    """How to reach an S3 service; what is None comes from the AWS environment."""

    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None
    region: str | None = None

    def __repr__(self) -> str:
        return f"S3Access(endpoint={self.endpoint!r}, region={self.region!r})"


@dataclass(frozen=True, slots=True)
class Stored:
    """One object: its path below the store's root, its size in bytes, and when it was written.

    `modified_ms` is epoch milliseconds; None where the object wasn't found by a listing.
    """

    path: str
    size: int
    modified_ms: int | None = None


class Store(Protocol):
    """A place that holds objects."""

    def listing(self) -> list[Stored]:
        """All objects, except those that a reader must ignore, in the order of their paths."""

    def everything(self, below: str = "") -> list[Stored]:
        """All objects below a folder, with those that a reader must ignore, in that order too."""

    def read(self, path: str) -> bytes:
        """All bytes of one object."""

    def read_at_once(self, path: str) -> bytes:
        """As `read`, of an object that may be written over meanwhile: of one version only."""

    def rows(self, path: str) -> int:
        """How many rows a Parquet object has; only its footer is fetched."""

    def open(self, path: str) -> Any:
        """One object as a file to read parts of; the caller closes it."""


def open_store(uri: str, access: S3Access | None = None) -> Store:
    """The store at `s3a://bucket/prefix`, `s3://bucket/prefix`, `file:///folder` or a bare path."""
    parts = urlsplit(uri)
    if parts.scheme in ("s3", "s3a") and parts.netloc:
        return _S3(parts.netloc, parts.path.strip("/"), access or S3Access())
    if parts.scheme in ("", "file") and parts.path:
        return _Folder(Path(parts.path))
    raise UserError(f"cannot read {uri!r}: use s3a://bucket/prefix or file:///folder")


def store_at(path: str, environment: Mapping[str, str]) -> Store:
    """What lies below that path; of the environment, `S3_ENDPOINT` is a local server's address."""
    return open_store(path, _access(environment))


def s3_client(environment: Mapping[str, str]) -> Any:
    """A boto3 client for S3; credentials come from the environment, else from AWS's own chain."""
    return _client(_access(environment))


def _access(environment: Mapping[str, str]) -> S3Access:
    return S3Access(
        endpoint=environment.get("S3_ENDPOINT"),
        access_key=environment.get("AWS_ACCESS_KEY_ID"),
        secret_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        session_token=environment.get("AWS_SESSION_TOKEN"),
        region=environment.get("AWS_REGION"),
    )


def tables(
    store: Store, objects: Iterable[Stored], columns: list[str] | None = None
) -> Iterator[list[tuple[Stored, pa.Table]]]:
    """The Parquet objects as tables, some hundred at a time; None means all columns."""

    remaining = iter(objects)
    with ThreadPoolExecutor(_READERS) as pool:
        while batch := list(islice(remaining, _FILES_AT_A_TIME)):
            # Only fetching is done in threads: parsing in several costs more than it saves.
            contents = pool.map(store.read, [stored.path for stored in batch])
            yield [
                (stored, _parquet(content, columns, stored.path))
                for stored, content in zip(batch, contents, strict=True)
            ]


def pages(
    store: Store, objects: Iterable[Stored], columns: list[str] | None = None
) -> Iterator[list[tuple[Stored, pa.Table]]]:
    """As `tables`, with some ten megabytes in memory however large the objects are.

    So a large object comes in several parts; the next objects are fetched meanwhile.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        fetched: deque[tuple[list[Stored], list[Future[bytes]]]] = deque()
        for group in _groups(objects):
            small = [] if group[0].size > _LARGE_BYTES else group
            fetched.append((group, [pool.submit(store.read, one.path) for one in small]))
            if len(fetched) > 1:
                yield from _pages_of(store, *fetched.popleft(), columns)
        while fetched:
            yield from _pages_of(store, *fetched.popleft(), columns)


def _groups(objects: Iterable[Stored]) -> Iterator[list[Stored]]:
    """Small objects together, each large one alone."""
    group: list[Stored] = []
    room = _LARGE_BYTES
    for one in objects:
        if group and (one.size > room or len(group) == _FILES_AT_A_TIME):
            yield group
            group, room = [], _LARGE_BYTES
        group.append(one)
        room -= one.size
    if group:
        yield group


def _pages_of(
    store: Store, group: list[Stored], contents: list[Future[bytes]], columns: list[str] | None
) -> Iterator[list[tuple[Stored, pa.Table]]]:
    if contents:
        found = zip(group, contents, strict=True)
        yield [(one, _parquet(content.result(), columns, one.path)) for one, content in found]
        return
    large = group[0]
    with store.open(large.path) as file:
        try:
            parquet = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES)
            for batch in parquet.iter_batches(_PAGE_ROWS, columns=columns, use_threads=False):
                yield [(large, pa.Table.from_batches([batch]))]
        except pa.ArrowInvalid as error:
            raise UserError(f"{large.path} isn't a readable Parquet file: {error}") from error


def _parquet(content: bytes, columns: list[str] | None, path: str) -> pa.Table:
    try:
        return pq.ParquetFile(pa.BufferReader(content)).read(columns, use_threads=False)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} isn't a readable Parquet file: {error}") from error


def _footer_rows(file: Any, path: str) -> int:
    try:
        return int(pq.read_metadata(file).num_rows)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} isn't a readable Parquet file: {error}") from error


def _is_data(path: str) -> bool:
    return not any(part.startswith(("_", ".")) for part in path.split("/"))


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def listing(self) -> list[Stored]:
        return [stored for stored in self.everything() if _is_data(stored.path)]

    def everything(self, below: str = "") -> list[Stored]:
        # Not rglob, which keeps a Path of every file that it has given.
        folders = os.walk(self._root / below)
        paths = (os.path.join(folder, name) for folder, _, names in folders for name in names)
        return sorted((stored for stored in map(self._stored, paths) if stored), key=_by_path)

    def _stored(self, path: str) -> Stored | None:
        """None of a file that was deleted meanwhile."""
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return None
        return Stored(os.path.relpath(path, self._root), found.st_size, found.st_mtime_ns // 10**6)

    def read(self, path: str) -> bytes:
        return (self._root / path).read_bytes()

    def read_at_once(self, path: str) -> bytes:
        return self.read(path)

    def rows(self, path: str) -> int:
        return _footer_rows(self._root / path, path)

    def open(self, path: str) -> Any:
        return pa.OSFile(str(self._root / path))


class _S3:
    """Lists with boto3 (a flat listing) and reads with pyarrow, whose threads don't wait for us."""

    def __init__(self, bucket: str, prefix: str, access: S3Access) -> None:
        self._bucket = bucket
        self._prefix = prefix + "/" if prefix else ""
        self._client: Any = _client(access)
        self._files = _files(access)

    def listing(self) -> list[Stored]:
        return [stored for stored in self.everything() if _is_data(stored.path)]

    def everything(self, below: str = "") -> list[Stored]:
        folder = f"{below.rstrip('/')}/" if below else ""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + folder
        )
        entries = (entry for page in pages for entry in page.get("Contents", ()))
        found = (self._stored(entry) for entry in entries if not entry["Key"].endswith("/"))
        return sorted(found, key=_by_path)

    def _stored(self, entry: Mapping[str, Any]) -> Stored:
        written = int(entry["LastModified"].timestamp() * 1000)
        return Stored(entry["Key"][len(self._prefix) :], entry["Size"], written)

    def read(self, path: str) -> bytes:
        with self._files.open_input_stream(f"{self._bucket}/{self._prefix}{path}") as stream:
            content: bytes = stream.read()
        return content

    def read_at_once(self, path: str) -> bytes:
        # Arrow asks for the size first, so it may give a new version cut to the old one's size.
        found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + path)
        content: bytes = found["Body"].read()
        return content

    def rows(self, path: str) -> int:
        with self.open(path) as file:
            return _footer_rows(file, path)

    def open(self, path: str) -> Any:
        return self._files.open_input_file(f"{self._bucket}/{self._prefix}{path}")


def _client(access: S3Access) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=access.endpoint,
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        aws_session_token=access.session_token,
        region_name=_region(access),
        config=_SETTINGS,
    )


def _files(access: S3Access) -> Any:
    endpoint = urlsplit(access.endpoint) if access.endpoint else None
    return fs.S3FileSystem(
        access_key=access.access_key,
        secret_key=access.secret_key,
        session_token=access.session_token,
        region=_region(access),
        scheme=endpoint.scheme if endpoint else "https",
        endpoint_override=endpoint.netloc if endpoint else None,
    )


def _region(access: S3Access) -> str | None:
    # A server of our own has no region, but a signature needs one.
    return access.region or ("us-east-1" if access.endpoint else None)


def _by_path(stored: Stored) -> str:
    return stored.path
