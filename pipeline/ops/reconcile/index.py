"""Read the index: id, version and values of all documents of a type, or of given ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import chain, zip_longest
from typing import Any, Final, TypeVar

import msgspec
import pyarrow as pa

from connectors.opensearch import client as opensearch
from connectors.sql import literal
from pipeline.events.event_types import EventType
from pipeline.ops.reconcile.database import ahead, paged
from pipeline.ops.reconcile.workspace import Workspace

_PAGE: Final = 5_000
_KEEP: Final = "2m"
_SLICES: Final = 2
_TIMEOUT_SECONDS: Final = 60.0
_FEW: Final = 0.2
"""Below this share of an index, documents are requested by id instead of reading all."""
_JSON: Final = {"content-type": "application/json"}
T = TypeVar("T")


class _Hit(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    version: int = msgspec.field(name="_version", default=-1)
    source: msgspec.Raw = msgspec.field(name="_source", default=msgspec.Raw(b"{}"))
    found: bool = True


class _Hits(msgspec.Struct):
    hits: list[_Hit]


class _Answer(msgspec.Struct):
    hits: _Hits
    scroll_id: str = msgspec.field(name="_scroll_id")


class _Got(msgspec.Struct):
    docs: list[_Hit]


class IndexReader:
    """Fills the table `documents` with those of one event type; their ids are texts.

    Each slice has a client of its own, since a client has one connection.
    """

    def __init__(self, ws: Workspace, index: str, event_type: EventType) -> None:
        self._clients = [ws.systems.opensearch() for _ in range(_SLICES)]
        self._index = index
        self._event_type = event_type
        self._database = ws.database
        self._values = ws.values
        ws.database.run("CREATE OR REPLACE TABLE documents AS FROM documents LIMIT 0")

    def read(self, progress: Callable[[int], None], *, whole: bool) -> int:
        """Take the documents, unless `whole` only of ids in the table `ids`; return the count."""
        count = self._count()
        pages: Iterable[list[_Hit]] = ()
        if count and not whole and self._database.size("ids") < count * _FEW:
            ids = self._database.rows("FROM ids")
            pages = map(self._get, paged((id_ for (id_,) in ids), _PAGE))
        elif count:
            slices = [ahead(self._scroll(part)) for part in range(_SLICES)]
            pages = (page for page in chain.from_iterable(zip_longest(*slices)) if page)
        rows = 0
        for page in pages:
            self._put(page, "true" if whole else "id IN (SELECT id FROM ids)")
            rows += len(page)
            progress(rows)
        return count

    def _count(self) -> int:
        """Return how many documents there are after a refresh; 0 without an index."""
        client = self._clients[0]
        with self._reported():
            if not client.indices.exists(index=self._index):
                return 0
            client.indices.refresh(index=self._index)
            return int(client.count(index=self._index)["count"])

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

    def _scroll(self, part: int) -> Iterator[list[_Hit]]:
        body = {
            "slice": {"id": part, "max": _SLICES},
            "sort": ["_doc"],
            "size": _PAGE,
            "version": True,
            "_source": self._values.compare,
        }
        answer = self._request(f"/{self._index}/_search?scroll={_KEEP}", body, _Answer, part)
        try:
            while answer.hits.hits:
                yield answer.hits.hits
                more = {"scroll_id": answer.scroll_id, "scroll": _KEEP}
                answer = self._request("/_search/scroll", more, _Answer, part)
        finally:
            self._clients[part].clear_scroll(
                body={"scroll_id": [answer.scroll_id]}, params={"ignore": 404}
            )

    def _get(self, ids: list[str]) -> list[_Hit]:
        source = "true" if self._values.compare else "false"
        answer = self._request(f"/{self._index}/_mget?_source={source}", {"ids": ids}, _Got)
        return [hit for hit in answer.docs if hit.found]

    def _request(self, url: str, body: Any, kind: type[T], client: int = 0) -> T:
        """Send a request through the transport: the client would parse documents into objects."""
        connection = self._clients[client].transport.get_connection()
        content = msgspec.json.encode(body)
        with self._reported():
            _, _, answer = connection.perform_request(
                "POST", url, body=content, timeout=_TIMEOUT_SECONDS, headers=_JSON
            )
        return msgspec.json.decode(answer, type=kind)

    def _reported(self) -> AbstractContextManager[None]:
        return opensearch.reported(f"read the index {self._index}")
