"""Reads the index back: every document of an event type, with its version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from connectors import checksums as content

_PAGE: Final = 5_000
_KEEP: Final = "2m"
_SLICES: Final = 2
_MISSING: Final = 404
_DIGITS: Final = 19


@dataclass(frozen=True, slots=True)
class Document:
    """One document with its external version."""

    id: str
    version: int
    source: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedDocuments:
    """The documents of one event type; an id that is no number is -1."""

    event_type: str
    ids: NDArray[np.int64]
    versions: NDArray[np.int64]
    contents: content.Hashes


def collect(event_type: str, documents: Iterable[Document]) -> IndexedDocuments:
    """The documents as columns; memory holds a page of them at a time."""
    remaining = iter(documents)
    parts = [_columns([])]
    while page := list(islice(remaining, _PAGE)):
        parts.append(_columns(page))
    ids, versions, contents = (np.concatenate(column) for column in zip(*parts, strict=True))
    return IndexedDocuments(event_type=event_type, ids=ids, versions=versions, contents=contents)


def from_opensearch(client: Any, index: str, event_type: str) -> IndexedDocuments:
    """All documents of that index, by an opensearch-py client; an index that isn't has none."""
    if not client.indices.exists(index=index):
        return collect(event_type, ())
    client.indices.refresh(index=index)
    with ThreadPoolExecutor(_SLICES) as pool:
        found = pool.map(
            lambda part: collect(event_type, _slice(client, index, part)), range(_SLICES)
        )
        slices = list(found)
    return IndexedDocuments(
        event_type=event_type,
        ids=np.concatenate([part.ids for part in slices]),
        versions=np.concatenate([part.versions for part in slices]),
        contents=np.concatenate([part.contents for part in slices]),
    )


def _slice(client: Any, index: str, part: int) -> Iterator[Document]:
    body = {
        "slice": {"id": part, "max": _SLICES},
        "sort": ["_doc"],
        "size": _PAGE,
        "version": True,
    }
    answer = client.search(index=index, body=body, params={"scroll": _KEEP})
    try:
        while hits := answer["hits"]["hits"]:
            for hit in hits:
                yield Document(hit["_id"], hit["_version"], hit["_source"])
            answer = client.scroll(body={"scroll_id": answer["_scroll_id"], "scroll": _KEEP})
    finally:
        client.clear_scroll(body={"scroll_id": [answer["_scroll_id"]]}, params={"ignore": _MISSING})


def _columns(page: list[Document]) -> tuple[NDArray[Any], NDArray[Any], content.Hashes]:
    ids = [_number(one.id) for one in page]
    versions = [one.version for one in page]
    return (
        np.array(ids, dtype=np.int64),
        np.array(versions, dtype=np.int64),
        content.of_documents([one.source for one in page]),
    )


def _number(text: str) -> int:
    number = int(text) if text.isdecimal() and len(text) < _DIGITS else -1
    return number if str(number) == text else -1
