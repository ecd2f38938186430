"""Determine which files a lake consists of: one rule for compaction and every reader here.

For each partition, `_compacted/<partition>/record.json` names the merged files and the files that
these replaced. The content of a partition is

    its visible files, minus the replaced files, plus the merged files.

Merged files lie below `_compacted`, which readers that only list folders skip. One write of the
record switches from the small files to the merged one; docs/design/compaction.md explains why a
reader sees every row exactly once at any time.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BufferedReader
from typing import Final

import msgspec

from connectors.errors import UserError
from connectors.s3.store import BUFFER_BYTES, ReadableStore, Stored, is_hidden
from pipeline.decode.partition import is_partition
from pipeline.events.event_types import EventTypes

COMPACTED: Final = "_compacted"
_RECORD: Final = "record.json"
_READERS: Final = 8
_PARTITION: Final = re.compile(r"[^/_.][^/]*(/[a-z][a-z0-9_]*=[^/]+)+")


class Gone(UserError):
    """A file was deleted after the lake was listed and before it was read."""


class Merged(msgspec.Struct, frozen=True):
    """A file that compaction wrote; `path` is relative to the lake."""

    path: str
    rows: int
    bytes: int


class Replaced(msgspec.Struct, frozen=True):
    """A file whose rows are in the merged file `into` since `since_ms` (epoch milliseconds)."""

    path: str
    rows: int
    into: str
    since_ms: int


class Record(msgspec.Struct, frozen=True):
    """What compaction did to a partition. Each change increments the generation.

    `held` names the swap that has locked the partition; empty: it is not locked.
    """

    generation: int = 0
    files: tuple[Merged, ...] = ()
    replaced: tuple[Replaced, ...] = ()
    held: str = ""


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition: its visible files, the files that compaction wrote, and its record.

    They are read in that order.
    """

    name: str
    visible: tuple[Stored, ...]
    written: tuple[Stored, ...]
    record: Record

    def current(self) -> list[Stored]:
        """Return the files that make up its content, in the order of their paths."""
        replaced = {entry.path for entry in self.record.replaced}
        merged = [Stored(entry.path, entry.bytes) for entry in self.record.files]
        return [*merged, *(stored for stored in self.visible if stored.path not in replaced)]


class Lake:
    """A lake as a store: `listing` returns the files that it consists of now.

    If a reader is slower than compaction's grace period and a file is deleted meanwhile, reading
    raises Gone; it never returns a row too few or too many.
    """

    def __init__(self, store: ReadableStore) -> None:
        self._store = store

    def listing(self) -> list[Stored]:
        """Return the files of all partitions, and other visible files of the lake."""
        files, partitions = _sorted(self._store, "")
        files += [stored for partition in partitions for stored in partition.current()]
        return sorted(files, key=lambda stored: stored.path)

    def partitions(self, below: str = "") -> list[Partition]:
        """Return all partitions, or those below a folder such as `trip`, by name."""
        return _sorted(self._store, below)[1]

    def everything(self, below: str = "") -> list[Stored]:
        """Return all objects below a folder, as the store does."""
        return self._store.everything(below)

    def read(self, path: str) -> bytes:
        """Return all bytes of one object."""
        try:
            return self._store.read(path)
        except FileNotFoundError as error:
            raise _gone(path) from error

    def open(self, path: str, buffer_bytes: int = BUFFER_BYTES) -> BufferedReader:
        """Open a file to read parts of it."""
        try:
            return self._store.open(path, buffer_bytes)
        except FileNotFoundError as error:
            raise _gone(path) from error


def checked(partition: str, types: EventTypes) -> str:
    """Return the name if an event type can have such a partition.

    Raises:
        UserError: none can, so no path must be built from it.
    """
    event_type = types.get(partition.partition("/")[0])
    if event_type is None or not is_partition(event_type, partition):
        known = ", ".join(
            "/".join([each.name, *(f"{name}=..." for name in each.partition_names)])
            for each in types
        )
        raise UserError(
            f"--partition is {partition!r}; give TYPE/NAME=VALUE/... as the lake writes it:"
            f" {known}."
        )
    return partition


def home(path: str) -> str:
    """Return the path that a file would have in its partition's folder."""
    return path.removeprefix(f"{COMPACTED}/")


def record_path(partition: str) -> str:
    """Return the path of a partition's record, relative to the lake."""
    return f"{COMPACTED}/{partition}/{_RECORD}"


def decoded(content: bytes, path: str) -> Record:
    """Parse a record's JSON.

    Raises:
        UserError: it is not a record, so the partition's content is unknown.
    """
    try:
        return msgspec.json.decode(content, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} isn't a record of `streaming-etl compact`: {error}. Without it nobody can say"
            " which files count; put back its last version."
        ) from error


def _sorted(store: ReadableStore, below: str) -> tuple[list[Stored], list[Partition]]:
    """Return the visible files outside of partitions, and the partitions.

    Correctness depends on the order: 1 list the files, 2 list the records, 3 read the records. So a
    file that was deleted before it could be listed is named in a record that is read.
    """
    visible = [stored for stored in store.everything(below) if not is_hidden(stored.path)]
    beside = store.everything(f"{COMPACTED}/{below}" if below else COMPACTED)
    names = [_partition(stored.path) for stored in beside if stored.path.endswith(f"/{_RECORD}")]
    records = _records(store, names)
    files = _by_partition(visible)
    written = _by_partition(stored for stored in beside if stored.path.endswith(".parquet"))
    partitions = sorted(filter(_PARTITION.fullmatch, {*files, *written, *records}))
    other = [stored for name in files.keys() - set(partitions) for stored in files[name]]
    return other, [
        Partition(name, tuple(files[name]), tuple(written[name]), records.get(name, Record()))
        for name in partitions
    ]


def _by_partition(files: Iterable[Stored]) -> defaultdict[str, list[Stored]]:
    folders: defaultdict[str, list[Stored]] = defaultdict(list)
    for stored in files:
        folders[_partition(stored.path)].append(stored)
    return folders


def _records(store: ReadableStore, names: Iterable[str]) -> Mapping[str, Record]:
    def read(name: str) -> tuple[str, Record]:
        path = record_path(name)
        return name, decoded(store.read(path), path)

    with ThreadPoolExecutor(_READERS) as pool:
        return dict(pool.map(read, names))


def _partition(path: str) -> str:
    return home(path).rpartition("/")[0]


def _gone(path: str) -> Gone:
    return Gone(
        f"{path} was there when the lake was listed and is gone now: something deleted it, such as"
        " `compact --clean` when its --grace was over. Read again; if it recurs, give a --grace"
        " that is longer than the longest query."
    )
