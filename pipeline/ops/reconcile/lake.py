"""Read the lake: every row's position, values, and whether it lies where it belongs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from connectors.sql import literal
from pipeline.config.model import Lake
from pipeline.events.event_types import EventType
from pipeline.ops.lake.content import COMPACTED, home
from pipeline.ops.reconcile.database import name
from pipeline.ops.reconcile.files import Files, Group
from pipeline.ops.reconcile.position_index import placed
from pipeline.ops.reconcile.workspace import Workspace

_PREFIX: Final = "source_"
_COLUMNS: Final = "event_type, misplaced, content, unknown, id, version"
TABLE: Final = """
CREATE TABLE lake (
    part INTEGER, number BIGINT, sequence VARCHAR, event_type event_type, misplaced BOOLEAN,
    content UBIGINT, unknown UBIGINT, id VARCHAR, version BIGINT
);
"""
_PATH: Final = (
    f"^({COMPACTED}/)?[^/]+/pickup_location=(\\d{{3}})/year=(\\d{{4}})/month=(\\d{{2}})/[^/]+$"
)
_FOLDERS: Final = ", ".join(
    f"TRY_CAST(regexp_extract(path, '{_PATH}', {group}) AS INTEGER) AS folder_{part}"
    for group, part in enumerate(("place", "year", "month"), 2)
)
"""Place, year and month that a file's folder names; NULL for an odd path."""
_PAGE: Final = """
CREATE OR REPLACE TEMP TABLE page AS
SELECT {position}, {arrival} AS arrival_ms, {event_type} AS event_type, {misplaced} AS misplaced,
    {content} AS content, {unknown} AS unknown, {id} AS id, {version} AS version
FROM {files}
"""


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
        for group in self.files.groups(_type_of):
            event_type = self._ws.types.get(_type_of(next(iter(group.values()))))
            for files, columns in self._alike(group, event_type):
                self.files.run(self._sql(files, columns, event_type))
                rows += self._ws.index.put("lake", _COLUMNS, where)
                progress(rows)

    def _alike(
        self, group: Group, event_type: EventType | None
    ) -> Iterator[tuple[str, dict[str, str]]]:
        """The group, or each file alone where a column has another type than its field can have.

        Read together, such a column would be text in all files.
        """
        files, columns = self.files.relation(group, _FOLDERS)
        if event_type and not self._ws.values.agrees(event_type, columns):
            yield from (self.files.relation({file: path}, _FOLDERS) for file, path in group.items())
        else:
            yield files, columns

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
        of_type = f"type = {literal(event_type.name)}" if "type" in columns else "true"
        sql["event_type"] = literal(event_type.name)
        sql["misplaced"] = f"""NOT coalesce({place} = folder_place AND year({time}) = folder_year
            AND month({time}) = folder_month AND {of_type}, false)"""
        sql["content"] = self._ws.values.of_columns(event_type, columns)
        sql["unknown"] = self._ws.values.unknown_of_columns(columns)
        if self._with_ids:
            sql["id"] = column(event_type.id, "VARCHAR")
            sql["version"] = f"epoch_ms({column(event_type.version_time, 'TIMESTAMP')})"
        return _PAGE.format(**sql)


def _type_of(path: str) -> str:
    return home(path).split("/", 1)[0]
