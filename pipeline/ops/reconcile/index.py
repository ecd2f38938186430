"""Read the index: id, version and values of documents, all of a type or those of given ids.

It uses only what OpenSearch Serverless has too: searches in a point in time, paged by
`search_after`. A plain OpenSearch is refreshed before. No slices: with fewer shards than slices, as
by default, each page evaluates the slice of every document anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final

import msgspec
import pyarrow as pa

from connectors.errors import UserError
from connectors.opensearch import client as opensearch
from connectors.sql import literal
from pipeline.events.event_types import EventType
from pipeline.ops.reconcile.database import ahead, paged
from pipeline.ops.reconcile.workspace import Workspace

_PAGE: Final = 5_000
_IDS: Final = 4_000
"""Fewer than a page, so that their documents fit into one answer."""
_KEEP: Final = "2m"
_TIMEOUT_SECONDS: Final = 60.0
_FEW: Final = 0.2
"""Below this share of an index, documents are requested by id instead of reading all."""
_JSON: Final = {"content-type": "application/json"}
_ALL: Final[dict[str, Any]] = {"match_all": {}}


class _Hit(msgspec.Struct):
    index: str = msgspec.field(name="_index")
    id: str = msgspec.field(name="_id")
    version: int = msgspec.field(name="_version", default=-1)
    source: msgspec.Raw = msgspec.field(name="_source", default=msgspec.Raw(b"{}"))
    sort: list[int] = msgspec.field(default_factory=list)


class _Total(msgspec.Struct):
    value: int


class _Hits(msgspec.Struct):
    hits: list[_Hit]
    total: _Total | None = None


class _Shards(msgspec.Struct):
    failed: int = 0


class _Answer(msgspec.Struct):
    hits: _Hits
    shards: _Shards = msgspec.field(name="_shards", default_factory=_Shards)


class IndexReader:
    """Fills the table `documents` with those of one event type; their ids are texts."""

    def __init__(self, ws: Workspace, index: str, event_type: EventType) -> None:
        self._client = ws.systems.opensearch()
        self._refreshes = not ws.serverless
        self._index = index
        self._event_type = event_type
        self._database = ws.database
        self._values = ws.values
        ws.database.run("CREATE OR REPLACE TABLE documents AS FROM documents LIMIT 0")

    def read(self, progress: Callable[[int], None], *, whole: bool) -> int:
        """Take the documents, unless `whole` only of ids in the table `ids`; how many there are.

        Raises:
            UserError: OpenSearch cannot be read, or returned fewer documents than it has.
        """
        with self._point_in_time() as pit:
            if pit is None:
                return 0
            count = self._count(pit)
            if not whole and self._database.size("ids") < count * _FEW:
                self._take(self._pages_of_ids(pit, "ids"), progress, "true")
                return count
            where = "true" if whole else "id IN (SELECT id FROM ids)"
            taken = self._take(ahead(self._pages(pit, _ALL)), progress, where)
        if taken != count:
            raise UserError(f"the index {self._index} returned {taken} of its {count} documents")
        return count

    def read_again(self, progress: Callable[[int], None], ids: str) -> None:
        """Take the documents of the ids in table `ids` anew."""
        with self._point_in_time() as pit:
            if pit is not None:
                self._database.run(f"DELETE FROM documents WHERE id IN (SELECT id FROM {ids})")
                self._take(self._pages_of_ids(pit, ids), progress, "true")

    def _point_in_time(self) -> AbstractContextManager[str | None]:
        return opensearch.point_in_time(
            self._client, self._index, keep_alive=_KEEP, refresh=self._refreshes
        )

    def _count(self, pit: str) -> int:
        total = self._search(pit, {"size": 0, "track_total_hits": True}).hits.total
        assert total
        return total.value

    def _take(
        self, pages: Iterable[list[_Hit]], progress: Callable[[int], None], where: str
    ) -> int:
        rows = 0
        for page in pages:
            self._put(page, where)
            rows += len(page)
            progress(rows)
        return rows

    def _put(self, page: list[_Hit], where: str) -> None:
        columns = {
            "id": pa.array([hit.id for hit in page], pa.string()),
            "version": pa.array([hit.version for hit in page], pa.int64()),
            "raw": pa.array([bytes(hit.source) for hit in page], pa.binary()),
        }
        self._database.present("incoming", pa.table(columns))
        content = self._values.of_json(literal(self._event_type.name))
        rows = self._values.members("FROM incoming")
        self._database.run(
            f"INSERT INTO documents SELECT id, version, {content} FROM ({rows}) WHERE {where}"
        )

    def _pages_of_ids(self, pit: str, ids: str) -> Iterator[list[_Hit]]:
        for part in paged((id_ for (id_,) in self._database.rows(f"SELECT id FROM {ids}")), _IDS):
            yield from self._pages(pit, {"ids": {"values": part}})

    def _pages(self, pit: str, query: Any) -> Iterator[list[_Hit]]:
        """Yield the documents of a query, each once.

        The sort key `_doc` is unique within a shard only. Hence a page begins with the last key of
        the page before, and leaves out what that page had of it.
        """
        body = {
            "query": query,
            "sort": ["_doc"],
            "size": _PAGE,
            "version": True,
            "_source": self._values.compare,
            "track_total_hits": False,
        }
        known: set[tuple[str, str]] = set()
        while True:
            hits = self._search(pit, body).hits.hits
            if page := [hit for hit in hits if (hit.index, hit.id) not in known]:
                yield page
            if len(hits) < _PAGE or not page:
                return
            last = hits[-1].sort
            known = {(hit.index, hit.id) for hit in hits if hit.sort == last}
            body["search_after"] = [last[0] - 1]

    def _search(self, pit: str, body: dict[str, Any]) -> _Answer:
        """Search below the client, which would parse every document into objects."""
        connection = self._client.transport.get_connection()
        content = msgspec.json.encode({**body, "pit": {"id": pit, "keep_alive": _KEEP}})
        with opensearch.reported(f"read the index {self._index}"):
            _, _, text = connection.perform_request(
                "POST", "/_search", body=content, timeout=_TIMEOUT_SECONDS, headers=_JSON
            )
        answer = msgspec.json.decode(text, type=_Answer)
        if answer.shards.failed:
            raise UserError(
                f"cannot read the index {self._index}: {answer.shards.failed} of its shards failed"
            )
        return answer
