"""Documents of an index, read back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.helpers import scan


def read_index(client: OpenSearch, index: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield every document as (id, version, source), unordered, of one snapshot after a refresh."""
    client.indices.refresh(index=index)
    query = {"query": {"match_all": {}}, "version": True}
    for hit in scan(client, query=query, index=index, size=5_000, request_timeout=60):
        yield hit["_id"], hit["_version"], hit["_source"]
