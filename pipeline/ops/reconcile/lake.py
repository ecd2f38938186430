"""Read the lake: every row's position, values, and whether it lies where it belongs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import pyarrow as pa

from connectors.sql import literal
from pipeline.config.model import Lake
from pipeline.events.event_types import EventType
from pipeline.ops.lake.content import home
from pipeline.ops.reconcile.database import name
from pipeline.ops.reconcile.files import Files, Local
from pipeline.ops.reconcile.position_index import placed
from pipeline.ops.reconcile.workspace import Workspace

_PATH: Final = re.compile(
    r"(?P<type>[^/]+)/pickup_location=(?P<place>\d{3})/year=(?P<year>\d{4})/month=(?P<month>\d{2})/[^/]+"
)
_PREFIX: Final = "source_"
_COLUMNS: Final = "event_type, misplaced, content, unknown, id, version"
TABLE: Final = """
CREATE TABLE lake (
    part INTEGER, number BIGINT, sequence VARCHAR, event_type event_type, misplaced BOOLEAN,
    content UBIGINT, unknown UBIGINT, id VARCHAR, version BIGINT
);
"""
_PAGE: Final = """
CREATE OR REPLACE TEMP TABLE page AS
SELECT {position}, {arrival} AS arrival_ms, {event_type} AS event_type, {misplaced} AS misplaced,
    {content} AS content, {unknown} AS unknown, {id} AS id, {version} AS version
FROM {files} JOIN folders USING (filename)
"""
_FOLDERS: Final = pa.schema(
    {"filename": pa.string(), "place": pa.int64(), "year": pa.int64(), "month": pa.int64()}
)


class LakeReader:
    """Fills the table `lake`, of which `event_type` is NULL for rows in an unknown type's folder.

    `content` and `unknown` (of unknown members) are checksums, NULL and 0 without values. `id` and
    `version` (epoch milliseconds) are NULL unless there is an index.
    """

    def __init__(self, ws: Workspace, settings: Lake) -> None:
        self._ws = ws
        self._with_ids = ws.config.index is not None
        self.files = Files(ws.database, ws.systems.lake(settings.path), settings.path)
        ws.database.run(TABLE)

    def read(self, progress: Callable[[int], None], where: str = "true") -> None:
        """Take the rows within the bounds of all files that were not read before."""
        rows = 0
        for _ in self._pages():
            rows += self._ws.index.put("lake", _COLUMNS, where)
            progress(rows)

    def _pages(self) -> Iterator[None]:
        for group in self.files.groups(lambda path: home(path).split("/", 1)[0]):
            event_type = self._ws.types.get(home(group[0].stored.path).split("/", 1)[0])
            for part, files, columns in self._alike(group, event_type):
                self._ws.database.present("folders", _folders(part))
                self.files.run(self._sql(files, columns, event_type), part)
                yield

    def _alike(
        self, group: list[Local], event_type: EventType | None
    ) -> Iterator[tuple[list[Local], str, dict[str, str]]]:
        """The group, or each file alone where a column has another type than its field can have.

        Read together, such a column would be text in all files.
        """
        files, columns = self.files.relation(group)
        if event_type and self._ws.values and not self._ws.values.agrees(event_type, columns):
            yield from ((([one], *self.files.relation([one]))) for one in group)
        else:
            yield group, files, columns

    def _sql(self, files: str, columns: dict[str, str], event_type: EventType | None) -> str:
        def column(field: str, kind: str) -> str:
            return f"TRY_CAST({name(field)} AS {kind})" if field in columns else f"NULL::{kind}"

        sql: dict[str, str] = {
            "files": files,
            "position": placed(columns, _PREFIX),
            "arrival": f"epoch_ms({column('arrival_time', 'TIMESTAMP')})",
            "event_type": "NULL",
            "misplaced": "true",
            "content": "NULL::UBIGINT",
            "unknown": "0",
            "id": "NULL",
            "version": "NULL",
        }
        if event_type is None:
            return _PAGE.format(**sql)
        time, place = column(event_type.event_time, "TIMESTAMP"), column(event_type.place, "BIGINT")
        at_home = f"{place} = place AND year({time}) = year AND month({time}) = month"
        of_type = f"type = {literal(event_type.name)}" if "type" in columns else "true"
        sql["event_type"] = literal(event_type.name)
        sql["misplaced"] = f"NOT coalesce({at_home} AND {of_type}, false)"
        if self._ws.values:
            sql["content"] = self._ws.values.of_columns(event_type, columns)
            sql["unknown"] = self._ws.values.unknown_of_columns(columns)
        if self._with_ids:
            sql["id"] = column(event_type.id, "VARCHAR")
            sql["version"] = f"epoch_ms({column(event_type.version_time, 'TIMESTAMP')})"
        return _PAGE.format(**sql)


def _folders(group: list[Local]) -> pa.Table:
    """Place, year and month that each file's folder names; NULL for an odd path."""
    matches = [_PATH.fullmatch(home(one.stored.path)) for one in group]
    numbers = [
        [int(match[part]) if match else None for match in matches]
        for part in ("place", "year", "month")
    ]
    return pa.table([[one.path for one in group], *numbers], schema=_FOLDERS)
