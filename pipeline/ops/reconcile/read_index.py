"""Reads the index: the id, version and values of documents, all of a type or those asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from opensearchpy.exceptions import TransportError

from connectors.checksums import Hashes
from connectors.errors import UserError
from connectors.opensearch import client as opensearch
from pipeline.events.event_types import EventType
from pipeline.ops.reconcile import ids
from pipeline.ops.reconcile.ids import Ids
from pipeline.ops.reconcile.seen import Documents
from pipeline.ops.reconcile.values import Values

_PAGE: Final = 5_000
_KEEP: Final = "2m"
SLICES: Final = 2
"""So many clients a reader takes."""
_TIMEOUT_SECONDS: Final = 60.0
_JSON: Final = {"content-type": "application/json"}

Part = tuple[Ids, NDArray[np.int64], Hashes]


class _Hit(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    version: int = msgspec.field(name="_version", default=-1)
    source: msgspec.Raw = msgspec.field(name="_source", default=msgspec.Raw(b"{}"))
    found: bool = True


class _Hits(msgspec.Struct):
    hits: list[_Hit]


class _Found(msgspec.Struct):
    hits: _Hits
    scroll_id: str = msgspec.field(name="_scroll_id")


class _Got(msgspec.Struct):
    docs: list[_Hit]


class IndexReader:
    """The documents of one event type; without `values` their contents are 0.

    Each slice has a client of its own, for a client has one connection.
    """

    def __init__(
        self,
        clients: list[Any],
        index: str,
        event_type: EventType,
        code: int,
        values: Values | None,
    ) -> None:
        self._clients = clients
        self._client = clients[0]
        self._index = index
        self._event_type = event_type
        self._code = code
        self._values = values

    def count(self) -> int:
        """How many documents there are after a refresh; 0 without an index."""
        try:
            if not self._client.indices.exists(index=self._index):
                return 0
            self._client.indices.refresh(index=self._index)
            return int(self._client.count(index=self._index)["count"])
        except TransportError as error:
            raise self._unread(error) from error

    def read(self, progress: Callable[[int], None]) -> Documents:
        """All documents, by sliced scroll."""
        done = [0] * SLICES

        def told(part: int, rows: int) -> None:
            done[part] += rows
            progress(sum(done))

        with ThreadPoolExecutor(SLICES) as pool:
            parts = list(pool.map(lambda part: list(self._slice(part, told)), range(SLICES)))
        return self._documents(column for part in parts for column in part)

    def none(self) -> Documents:
        """No documents."""
        return self._documents(())

    def read_ids(self, wanted: Ids) -> Documents:
        """The documents of these ids, as far as they are there; ids must be numbers."""
        pages = (wanted[start : start + _PAGE] for start in range(0, len(wanted), _PAGE))
        return self._documents(self._columns(self._got(page)) for page in pages)

    def texts(self, wanted: Ids) -> dict[int, str]:
        """The ids as the index has them, of ids that are hashes."""
        due = set(wanted.tolist())
        found: dict[int, str] = {}
        for part in range(SLICES):
            for hits in self._hits(part, source=False):
                texts = [hit.id for hit in hits]
                numbers = ids.of_texts(self._event_type, texts).tolist()
                found |= {n: text for n, text in zip(numbers, texts, strict=True) if n in due}
        return found

    def _slice(self, part: int, told: Callable[[int, int], None]) -> Iterator[Part]:
        for hits in self._hits(part, source=self._values is not None):
            told(part, len(hits))
            yield self._columns(hits)

    def _hits(self, part: int, *, source: bool) -> Iterator[list[_Hit]]:
        body = {
            "slice": {"id": part, "max": SLICES},
            "sort": ["_doc"],
            "size": _PAGE,
            "version": True,
            "_source": source,
        }
        url, scroll = f"/{self._index}/_search", {"scroll": _KEEP}
        answer = self._ask(url, body, _Found, params=scroll, client=part)
        try:
            while answer.hits.hits:
                yield answer.hits.hits
                more = {"scroll_id": answer.scroll_id, "scroll": _KEEP}
                answer = self._ask("/_search/scroll", more, _Found, client=part)
        finally:
            self._clients[part].clear_scroll(
                body={"scroll_id": [answer.scroll_id]}, params={"ignore": 404}
            )

    def _got(self, page: Ids) -> list[_Hit]:
        body = {"ids": list(map(ids.text_of, page.tolist()))}
        source = {"_source": "true" if self._values else "false"}
        answer = self._ask(f"/{self._index}/_mget", body, _Got, params=source)
        return [hit for hit in answer.docs if hit.found]

    def _columns(self, hits: list[_Hit]) -> Part:
        contents = np.zeros(len(hits), np.uint64)
        if self._values:
            contents = self._values.of_documents(self._code, [bytes(h.source) for h in hits])
        versions = np.array([hit.version for hit in hits], dtype=np.int64)
        return ids.of_texts(self._event_type, [hit.id for hit in hits]), versions, contents

    def _documents(self, parts: Iterable[Part]) -> Documents:
        columns = zip(self._columns([]), *parts, strict=True)
        found, versions, contents = (np.concatenate(column) for column in columns)
        return Documents(ids=found, versions=versions, contents=contents)

    def _ask(
        self,
        url: str,
        body: Any,
        kind: Any,
        *,
        params: dict[str, str] | None = None,
        client: int = 0,
    ) -> Any:
        """Asked below the client, which would parse every document into Python objects."""
        connection = self._clients[client].transport.get_connection()
        try:
            _, _, text = connection.perform_request(
                "POST",
                url,
                params=params,
                body=msgspec.json.encode(body),
                timeout=_TIMEOUT_SECONDS,
                headers=_JSON,
            )
        except TransportError as error:
            raise self._unread(error) from error
        return msgspec.json.decode(text, type=kind)

    def _unread(self, error: TransportError) -> UserError:
        return UserError(f"cannot read the index {self._index}: {opensearch.explain(error)}")
