"""`tap lake`: the files that come to the lake, and some of their rows."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from connectors.errors import UserError
from connectors.s3.parquet import pages
from connectors.s3.store import Stored
from pipeline.collect.columns import local_columns
from pipeline.events.identity import joined
from pipeline.events.model import EventType
from pipeline.ops.dead_letters.view import time_text
from pipeline.ops.systems import systems
from pipeline.ops.tap.files import NewFiles
from pipeline.ops.tap.rows import plain_rows
from pipeline.ops.tap.view import Seen, in_turn, note
from pipeline.terminal import counted


class LakeTap:
    """Follows the files of all event types; what compaction writes is nothing new."""

    waits_for = "new files"

    def __init__(
        self, config: Path, *, since_seconds: float, rows: int, event_types: list[str]
    ) -> None:
        """Begin with the files that were written in the last `since_seconds`."""
        configured = systems(config)
        unknown = [name for name in event_types if name not in configured.types.names]
        if unknown:
            raise UserError(
                f"--type {unknown[0]}: unknown; give one of {', '.join(configured.types.names)}."
            )
        self._types, self._rows = configured.types, rows
        self._path = configured.lake_path
        self._store = configured.store(self._path)
        since_ms = round((time.time() - since_seconds) * 1000)
        self._files = NewFiles(self._store, event_types or configured.types.names)
        self._earlier = self._files.since(since_ms) if since_seconds else []
        self._seen = 0
        self.what = f"the lake {self._path}"

    def earlier(self) -> Iterator[Seen]:
        """Yield rows of the files that were there, of the newest file first."""
        return self._rows_of(self._earlier)

    def poll(self) -> Iterable[Seen]:
        """Return rows of the files that came, of each event type in turn."""
        by_type: defaultdict[str, list[Stored]] = defaultdict(list)
        for stored in self._files.poll():
            by_type[stored.path.partition("/")[0]].append(stored)
        return self._rows_of(in_turn(by_type.values()))

    def looked_at(self) -> str:
        """Return how many files came."""
        listings = counted(self._files.listings, "listing")
        return f"{counted(self._seen, 'file')} in {listings}"

    def close(self) -> None:
        """Do nothing: no connection stays open."""

    def _rows_of(self, files: Iterable[Stored]) -> Iterator[Seen]:
        for stored in files:
            self._seen += 1
            try:
                yield from self._of_file(stored)
            except FileNotFoundError:
                note(f"{stored.path} is gone: compacted or deleted before it could be read")
            except UserError as error:
                note(f"{self._path}: {error}")

    def _of_file(self, stored: Stored) -> Iterator[Seen]:
        """Yield the first rows of a file, with the file named above the first of them."""
        name, *folders, _ = stored.path.split("/")
        partition, written = "/".join(folders), time_text(stored.modified_ms)
        about = {"file": stored.path, "bytes": stored.size, "written": written}
        heading = f"{written}  {stored.path}  {stored.size:,} bytes"
        for row in self._first_rows(stored, local_columns(self._types[name])):
            id_ = _id_of(row, self._types[name])
            fields = {"event_type": name, "partition": partition, "id": id_, **about, "row": row}
            content = msgspec.json.encode(row).decode()
            yield Seen(fields, ("row", name, partition, str(id_)), content, heading)
            heading = ""

    def _first_rows(self, stored: Stored, local: Collection[str]) -> list[dict[str, Any]]:
        for [(_, table)] in pages(self._store, [stored], rows=self._rows):
            return plain_rows(table, local)
        return []


def _id_of(row: dict[str, Any], event_type: EventType) -> Any:
    """Return a row's document id: of its fields, or its position."""
    fields = event_type.id or ("source_topic", "source_partition", "source_offset")
    values = [row.get(name) for name in fields]
    return values[0] if len(values) == 1 else joined(map(_text, values))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
