"""What the index step counts on, held by the real OpenSearch and by the one in memory alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol
from uuid import uuid4

import msgspec
import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError

from connectors.opensearch.bulk import Answer, Document, Send, Unreachable, encode
from connectors.opensearch.client import bulk_sender, client
from connectors.opensearch.options import Index
from connectors.opensearch.templates import ensure_templates
from tests.connectors.memory_index import MemoryIndex

FIELDS = {"n": "integer", "amount": "double", "at": "date", "word": "keyword"}
GOOD = b'{"n":1}'


class Place(Protocol):
    """An index named `index` with FIELDS, and a look into it."""

    index: str
    send: Send

    def get(self, key: str) -> tuple[int, Any] | None: ...

    def block(self, blocked: bool) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self.index = "trip"
        self._memory = MemoryIndex({self.index: FIELDS})
        self.send: Send = self._memory

    def get(self, key: str) -> tuple[int, Any] | None:
        return self._memory.stored.get((self.index, key))

    def block(self, blocked: bool) -> None:
        self._memory.blocked = {self.index} if blocked else set()


class Real:
    def __init__(self, settings: Index, opensearch: OpenSearch) -> None:
        self.index = settings.prefix + "trip"
        self.send = bulk_sender(settings)
        self._client = opensearch

    def get(self, key: str) -> tuple[int, Any] | None:
        try:
            found = self._client.get(index=self.index, id=key)
        except NotFoundError:
            return None
        return found["_version"], found["_source"]

    def block(self, blocked: bool) -> None:
        self._client.indices.put_settings(
            index=self.index, body={"index.blocks.write": blocked or None}
        )


@pytest.fixture(scope="module")
def real(opensearch_url: str) -> Iterator[Real]:
    prefix = f"contract-{uuid4().hex}-"
    settings = Index(url=opensearch_url, prefix=prefix, replicas=0, timeout_seconds=60.0)
    opensearch = client(settings)
    properties = {name: {"type": kind} for name, kind in FIELDS.items()}
    ensure_templates(opensearch, {"trip": {"properties": properties}}, settings)
    yield Real(settings, opensearch)
    opensearch.indices.delete(index=settings.prefix + "trip")
    opensearch.indices.delete_index_template(name=settings.prefix + "trip")


@pytest.fixture(params=["memory", pytest.param("opensearch", marks=pytest.mark.server)])
def place(request: pytest.FixtureRequest) -> Place:
    chosen: Place = InMemory()
    if request.param == "opensearch":
        chosen = request.getfixturevalue("real")
    return chosen


def ask(place: Place, *documents: tuple[str, int, bytes], index: str | None = None) -> Answer:
    made = [Document(index or place.index, key, version, body) for key, version, body in documents]
    return place.send(b"".join([encode(document) for document in made]))


def items(answer: Answer) -> list[tuple[int, str | None]]:
    """Status and error type of each item."""
    assert answer.status == 200
    found = msgspec.json.decode(answer.body)["items"]
    return [
        (item["status"], item.get("error", {}).get("type"))
        for pair in found
        for item in pair.values()
    ]


def key() -> str:
    return uuid4().hex


def test_a_document_is_created_then_replaced(place: Place) -> None:
    mine = key()
    assert items(ask(place, (mine, 5, GOOD))) == [(201, None)]
    assert items(ask(place, (mine, 6, b'{"n":2}'))) == [(200, None)]
    assert place.get(mine) == (6, {"n": 2})


def test_an_equal_version_replaces_and_an_older_one_conflicts(place: Place) -> None:
    mine = key()
    ask(place, (mine, 5, GOOD))
    assert items(ask(place, (mine, 5, b'{"n":2}'))) == [(200, None)]
    assert items(ask(place, (mine, 4, b'{"n":3}'))) == [(409, "version_conflict_engine_exception")]
    assert place.get(mine) == (5, {"n": 2})


def test_one_request_may_hold_an_id_twice_in_order(place: Place) -> None:
    mine = key()
    answer = ask(place, (mine, 5, GOOD), (mine, 5, b'{"n":2}'), (mine, 4, b'{"n":3}'))
    assert [status for status, _ in items(answer)] == [201, 200, 409]
    assert place.get(mine) == (5, {"n": 2})


@pytest.mark.parametrize(
    "body",
    [
        b'{"n":"abc"}',
        b'{"n":3000000000}',
        b'{"n":1.5}',
        b'{"amount":"much"}',
        b'{"word":{"a":1}}',
        b'{"n":',
        b"[1]",
        b"",
        b'{"word":"\xff"}',
    ],
)
def test_a_document_that_does_not_fit_fails_alone(place: Place, body: bytes) -> None:
    bad, good = key(), key()
    answer = ask(place, (bad, 1, body), (good, 1, GOOD))
    assert items(answer) == [(400, "mapper_parsing_exception"), (201, None)]
    assert place.get(bad) is None


def test_a_field_that_is_not_mapped_is_refused(place: Place) -> None:
    answer = ask(place, (key(), 1, b'{"other":1}'))
    assert items(answer) == [(400, "strict_dynamic_mapping_exception")]


def test_null_and_fitting_values_are_taken(place: Place) -> None:
    body = '{"n":null,"amount":1,"at":"2018-01-01T00:21:05.000Z","word":"é\\u2028"}'.encode()
    assert items(ask(place, (key(), 1, body))) == [(201, None)]


def test_an_empty_id_fails_alone(place: Place) -> None:
    answer = ask(place, ("", 1, GOOD), (key(), 1, GOOD))
    assert items(answer) == [(400, "illegal_argument_exception"), (201, None)]


def test_an_id_of_512_bytes_is_taken_and_one_of_513_spoils_the_request(place: Place) -> None:
    innocent = key()
    longest = key().ljust(510, "x") + "é"
    assert items(ask(place, (longest, 1, GOOD))) == [(201, None)]
    assert ask(place, (innocent, 1, GOOD), (longest + "x", 1, GOOD)).status == 400
    assert place.get(innocent) is None


def test_a_negative_version_spoils_the_request(place: Place) -> None:
    innocent = key()
    assert ask(place, (innocent, 1, GOOD), (key(), -1, GOOD)).status == 400
    assert place.get(innocent) is None


@pytest.mark.parametrize("body", [b"", b"{}\n", b'{"index":{}', b"nonsense\n{}\n"])
def test_what_is_no_bulk_body_is_refused_as_a_whole(place: Place, body: bytes) -> None:
    assert place.send(body).status == 400


def test_a_write_block_forbids_each_item_until_it_is_lifted(place: Place) -> None:
    place.block(True)
    try:
        assert items(ask(place, (key(), 1, GOOD))) == [(403, "cluster_block_exception")]
    finally:
        place.block(False)
    assert items(ask(place, (key(), 1, GOOD))) == [(201, None)]


def test_a_body_over_100_mib_is_answered_413_or_broken_off(place: Place) -> None:
    """The server may close the connection before we have sent all: then we never see its 413."""
    try:
        assert place.send(bytes(100 * 1024 * 1024 + 1)).status == 413
    except Unreachable as error:
        assert error.reset
