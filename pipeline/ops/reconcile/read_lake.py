"""Reads the lake: every row's position, values, and whether it lies where it belongs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from connectors import checksums as content
from connectors import positions
from connectors.positions import Positions
from connectors.s3.storage import Store, Stored, pages
from pipeline.events.event_types import EventType, EventTypes
from pipeline.ops.lake.content import home
from pipeline.ops.reconcile import ids
from pipeline.ops.reconcile.bounds import Bounds
from pipeline.ops.reconcile.places import Flags, Places
from pipeline.ops.reconcile.seen import LakeRows
from pipeline.ops.reconcile.values import Values

_PATH: Final = re.compile(
    r"(?P<type>[^/]+)/pickup_location=(?P<place>\d{3})/year=(?P<year>\d{4})/month=(?P<month>\d{2})/[^/]+"
)
_PREFIX: Final = "source_"
_ODD: Final = -1
_TYPE: Final = "type"

Found = list[tuple[Stored, pa.Table]]
Progress = Callable[[int], None]


class LakeReader:
    """The lake of a configuration. `read` once, then `again` for what became visible since."""

    def __init__(
        self,
        store: Store,
        places: Places,
        bounds: Bounds,
        types: EventTypes,
        values: Values | None,
        *,
        with_ids: bool,
    ) -> None:
        self._store = store
        self._places = places
        self._bounds = bounds
        self._types = list(types)
        self._codes = {one.name: code for code, one in enumerate(types)}
        self._values = values
        self._with_ids = with_ids
        self._paths: set[str] = set()
        self.bytes = 0

    @property
    def files(self) -> int:
        """How many files were read."""
        return len(self._paths)

    def read(self, progress: Progress) -> LakeRows:
        """All rows within the bounds."""
        parts = [self._foreign(np.zeros(0, np.int64))]
        rows = 0
        for part in self._rows():
            parts.append(part)
            rows += len(part)
            progress(rows)
        return LakeRows.of(parts)

    def again(self, seen: LakeRows, wanted: Positions) -> LakeRows:
        """What was seen, and of new files the rows at the wanted positions."""
        new = [part.only(np.isin(part.positions, wanted)) for part in self._rows()]
        return LakeRows.of([seen, *new]) if any(map(len, new)) else seen

    def _rows(self) -> Iterator[LakeRows]:
        for page in pages(self._store, self._new(), self._columns()):
            by_type: dict[str, Found] = defaultdict(list)
            for stored, table in page:
                by_type[home(stored.path).split("/", 1)[0]].append((stored, table))
            for name, found in by_type.items():
                for together in _joined(found):
                    yield self._of_type(self._codes.get(name, _ODD), *together)

    def _new(self) -> Iterable[Stored]:
        new = [stored for stored in self._store.listing() if stored.path not in self._paths]
        self._paths.update(stored.path for stored in new)
        self.bytes += sum(stored.size for stored in new)
        return new

    def _columns(self) -> list[str] | None:
        if self._values:
            return None
        own = {name for one in self._types for name in (one.place, one.event_time)}
        if self._with_ids:
            own |= {name for one in self._types for name in (one.id, one.version_time)}
        return [*(_PREFIX + name for name in positions.COLUMNS), "arrival_time", _TYPE, *own]

    def _of_type(self, code: int, found: list[tuple[Stored, int]], table: pa.Table) -> LakeRows:
        numbers = self._places.numbers(table, _PREFIX)
        folders = np.repeat(
            np.array([self._folder(stored.path) for stored, _ in found], dtype=np.int64),
            [rows for _, rows in found],
        )
        arrival = content.millis(table.column("arrival_time")) if self._bounds.timed else None
        keep = self._bounds.within(numbers, arrival)
        if not keep.all():
            table, numbers, folders = table.filter(pa.array(keep)), numbers[keep], folders[keep]
        if code == _ODD:
            return self._foreign(numbers)
        event_type = self._types[code]
        misplaced = _homes(code, event_type, table) != folders
        misplaced |= _of_other_type(event_type, table)
        return LakeRows(
            positions=numbers,
            types=np.full(len(numbers), code, np.int8),
            misplaced=misplaced,
            contents=self._contents(code, table),
            extras=self._extras(table),
            ids=self._ids(event_type, table),
            versions=self._versions(event_type, table),
        )

    def _foreign(self, numbers: Positions) -> LakeRows:
        """Rows in the folder of no known event type: misplaced, whatever they hold."""
        rows = len(numbers)
        keep_unknown = self._values is not None and self._values.keep_unknown
        return LakeRows(
            positions=numbers,
            types=np.full(rows, _ODD, np.int8),
            misplaced=np.ones(rows, np.bool_),
            contents=np.zeros(rows, np.uint64),
            extras=np.zeros(rows, np.uint64) if keep_unknown else None,
            ids=np.zeros(rows, np.int64) if self._with_ids else None,
            versions=np.zeros(rows, np.int64) if self._with_ids else None,
        )

    def _ids(self, event_type: EventType, table: pa.Table) -> ids.Ids | None:
        return ids.of_column(event_type, table.column(event_type.id)) if self._with_ids else None

    def _versions(self, event_type: EventType, table: pa.Table) -> NDArray[np.int64] | None:
        if not self._with_ids:
            return None
        return content.millis(table.column(event_type.version_time))

    def _contents(self, code: int, table: pa.Table) -> content.Hashes:
        if self._values is None:
            return np.zeros(len(table), np.uint64)
        return self._values.of_table(code, table)

    def _extras(self, table: pa.Table) -> content.Hashes | None:
        if self._values is None or not self._values.keep_unknown:
            return None
        return self._values.extras_of_table(table)

    def _folder(self, path: str) -> int:
        match = _PATH.fullmatch(home(path))
        if match is None or match["type"] not in self._codes:
            return _ODD
        place, year, month = (int(match[name]) for name in ("place", "year", "month"))
        return int(_folder_number(self._codes[match["type"]], place, year, month))


def _folder_number(code: int, place: Any, year: Any, month: Any) -> Any:
    """Type, place, year and month as one number, to compare many at once."""
    return ((code * 1000 + place) * 10_000 + year) * 100 + month


def _homes(code: int, event_type: EventType, table: pa.Table) -> NDArray[np.int64]:
    """The folder that each row's own place and time name."""
    times = content.millis(table.column(event_type.event_time)).astype("datetime64[ms]")
    since_1970 = times.astype("datetime64[M]").astype(np.int64)
    places = np.asarray(table.column(event_type.place).fill_null(_ODD)).astype(np.int64)
    years, months = 1970 + since_1970 // 12, since_1970 % 12 + 1
    found: NDArray[np.int64] = _folder_number(code, places, years, months)
    return found


def _of_other_type(event_type: EventType, table: pa.Table) -> Flags:
    """Rows that say themselves to be of another event type than the folder they lie in."""
    if _TYPE not in table.column_names:
        return np.zeros(len(table), np.bool_)
    same = pc.fill_null(pc.equal(table.column(_TYPE), event_type.name), False)
    return ~np.asarray(same)


def _joined(found: Found) -> Iterator[tuple[list[tuple[Stored, int]], pa.Table]]:
    """Tables of one type as one, or each alone where their columns' types differ."""
    sizes = [(stored, table.num_rows) for stored, table in found]
    try:
        # A column that older files lack is null there, and a null counts as absent.
        table = pa.concat_tables([table for _, table in found], promote=True)
    except pa.ArrowInvalid:
        for size, (_, table) in zip(sizes, found, strict=True):
            yield [size], table
        return
    yield sizes, table.combine_chunks()
