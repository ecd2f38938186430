"""The documents of an index that were written last; nothing is refreshed or changed for that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError

from connectors.opensearch.client import point_in_time, reported

_PAGE: Final = 100
_KEEP: Final = "1m"


@dataclass(frozen=True, slots=True)
class Hit:
    """A document: its index, id, version and content."""

    index: str
    id: str
    version: int
    source: dict[str, Any]


class _Shard(NamedTuple):
    """A shard of an index. One that is made again has another uuid, and counts from 0 again."""

    index_name: str
    uuid: str
    number: int


class Newest(Protocol):
    """Finds the newest documents of an index, or of an alias; an absent one has none.

    Methods raise UserError if OpenSearch cannot be read.
    """

    def last(self, count: int) -> list[Hit]:
        """Return the newest documents that are there, the newest first, and begin after them."""

    def poll(self) -> list[Hit]:
        """Return what was written since the last call, the oldest first: at most 100 a shard."""


class BySequence(Newest):
    """By the sequence number that each shard gives to every write: no write is older than seen.

    More than 100 documents between two calls are a sample: the newest of them.
    """

    def __init__(self, client: OpenSearch, index: str) -> None:
        self._client, self._index = client, index
        self._after: dict[_Shard, int] = {}

    def last(self, count: int) -> list[Hit]:
        found = self._new(max(1, min(count, _PAGE)))
        return [hit for _, hit in sorted(found, key=_number, reverse=True)][:count]

    def poll(self) -> list[Hit]:
        return [hit for _, hit in sorted(self._new(_PAGE), key=_number)]

    def _new(self, size: int) -> list[tuple[int, Hit]]:
        with reported(f"read the index {self._index}"):
            try:
                return [each for shard in self._shards() for each in self._of_shard(shard, size)]
            except NotFoundError as error:
                if error.error != "index_not_found_exception":
                    raise
                return []

    def _shards(self) -> Iterator[_Shard]:
        settings = self._client.indices.get_settings(
            index=self._index, name="index.number_of_shards,index.uuid"
        )
        for index, described in settings.items():
            about = described["settings"]["index"]
            for number in range(int(about["number_of_shards"])):
                yield _Shard(index, about["uuid"], number)

    def _of_shard(self, shard: _Shard, size: int) -> list[tuple[int, Hit]]:
        body = {
            "query": {"range": {"_seq_no": {"gt": self._after.get(shard, -1)}}},
            # An index without any field has no `_seq_no` to sort by.
            "sort": [{"_seq_no": {"order": "desc", "unmapped_type": "long"}}],
            "size": size,
            "version": True,
            "track_total_hits": False,
        }
        answer = self._client.search(
            index=shard.index_name, body=body, params={"preference": f"_shards:{shard.number}"}
        )
        hits = answer["hits"]["hits"]
        found = [(int(hit["sort"][0]), _hit(hit)) for hit in hits]
        self._after[shard] = max([self._after.get(shard, -1), *(seq for seq, _ in found)])
        return found


class ByTime(Newest):
    """By the version time of the events, for OpenSearch Serverless, which has no other order.

    So an event that is older than the newest hundred is not seen.
    """

    def __init__(self, client: OpenSearch, index: str, field: str) -> None:
        self._client, self._index, self._field = client, index, field
        self._seen: set[tuple[str, int]] = set()

    def last(self, count: int) -> list[Hit]:
        return self._new()[:count]

    def poll(self) -> list[Hit]:
        return self._new()[::-1]

    def _new(self) -> list[Hit]:
        with point_in_time(self._client, self._index, keep_alive=_KEEP, refresh=False) as pit:
            hits = [] if pit is None else self._search(pit)
        new = [hit for hit in hits if (hit.id, hit.version) not in self._seen]
        self._seen = {(hit.id, hit.version) for hit in hits}
        return new

    def _search(self, pit: str) -> list[Hit]:
        body = {
            "pit": {"id": pit, "keep_alive": _KEEP},
            "sort": [{self._field: {"order": "desc", "unmapped_type": "date"}}],
            "size": _PAGE,
            "version": True,
            "track_total_hits": False,
        }
        with reported(f"read the index {self._index}"):
            return [_hit(hit) for hit in self._client.search(body=body)["hits"]["hits"]]


def _hit(hit: dict[str, Any]) -> Hit:
    return Hit(hit["_index"], hit["_id"], hit["_version"], hit["_source"])


def _number(found: tuple[int, Hit]) -> int:
    return found[0]
