"""The index step against a real OpenSearch that is starved, stopped for a while, and back again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from connectors.opensearch.bulk import Document, Done, Limits, Rejected, Send, Unreachable, encode
from connectors.opensearch.client import bulk_sender, client
from connectors.opensearch.options import Index
from connectors.opensearch.templates import careful_sender, ensure_templates
from pipeline.index.indexer import Indexer, RetryPolicy
from tests.connectors.node import Node

STARVED = {"indexing_pressure.memory.limit": "20kb", "action.auto_create_index": '"false"'}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    made = Node(tmp_path_factory.mktemp("opensearch"), STARVED)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def settings(node: Node) -> Index:
    made = Index(url=node.url, replicas=0, timeout_seconds=60.0)
    mapping = {"properties": {"n": {"type": "integer"}}}
    ensure_templates(client(made), {"trip": mapping}, made)
    return made


def documents(count: int, *, first: int = 0, index: str = "trip") -> list[Document]:
    return [Document(index, str(n), 1, b'{"n":%d}' % n) for n in range(first, first + count)]


def indexer(
    settings: Index,
    *,
    limits: Limits | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    send: Send | None = None,
) -> Indexer:
    return Indexer(
        send or bulk_sender(settings),
        limits=limits or Limits(),
        retry=RetryPolicy(seconds=20.0, first_pause=0.02, longest_pause=0.2, breaker_seconds=30.0),
        clock=clock,
        sleep=sleep,
        random=Random(1).random,
    )


def test_an_index_that_may_not_be_made_is_missing(settings: Index) -> None:
    missing, present = indexer(settings).index(
        [*documents(1, index="absent"), *documents(1, index="trip")]
    )
    assert isinstance(missing, Rejected) and missing.reason == "index_missing"
    assert present is Done.INDEXED


def test_indexing_pressure_refuses_the_whole_request(settings: Index) -> None:
    body = b"".join([encode(document) for document in documents(1_000)])
    assert bulk_sender(settings)(body).status == 429
    small = indexer(settings, limits=Limits(bytes=5_000))
    assert set(small.index(documents(300))) == {Done.INDEXED}


def test_requests_that_press_each_other_out_all_arrive_in_the_end(settings: Index) -> None:
    steps = [indexer(settings, limits=Limits(bytes=9_000)) for _ in range(4)]
    deadline = time.monotonic() + 60.0
    first = 0
    with ThreadPoolExecutor(4) as threads:
        while not sum(step.counts.retries for step in steps):
            assert time.monotonic() < deadline, "no request was ever refused"
            batches = [documents(300, first=first + 300 * n) for n in range(4)]
            first += 1_200
            for outcomes in threads.map(Indexer.index, steps, batches):
                assert set(outcomes) == {Done.INDEXED}


def test_a_server_that_stops_and_comes_back(node: Node, settings: Index) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    step = indexer(settings, limits=Limits(bytes=5_000), clock=lambda: now[0], sleep=sleep)
    assert set(step.index(documents(100))) == {Done.INDEXED}
    node.stop()
    lost = step.index(documents(100, first=100))
    assert set(lost) == {Rejected("index_unavailable", "no connection")}
    assert now[0] == pytest.approx(20.0)
    asked = step.counts.requests
    assert step.index(documents(100, first=200)) == lost
    assert step.counts.requests == asked
    node.start()
    now[0] += 30.0
    assert set(step.index(documents(300))) == {Done.INDEXED}
    assert step.counts.rejected == {"index_unavailable": 200}


def test_a_worker_makes_the_indices_before_it_sends_when_nobody_could(
    node: Node, settings: Index
) -> None:
    node.stop()
    wanted = {"late": {"properties": {"n": {"type": "integer"}}}}
    send = careful_sender(settings, wanted)
    body = encode(documents(1, index="late")[0])
    with pytest.raises(Unreachable, match=r"index late at .*: no connection"):
        send(body)
    node.start()
    assert indexer(settings, send=send).index(documents(9, index="late")) == [Done.INDEXED] * 9
    assert client(settings).indices.get_mapping(index="late")["late"]["mappings"]["dynamic"] == (
        "strict"
    )


def test_a_worker_sends_nothing_to_an_index_of_another_mapping(settings: Index) -> None:
    ensure_templates(client(settings), {"other": {"properties": {}}}, settings)
    ensure_templates(client(settings), {"other": {"properties": {"n": {"type": "ip"}}}}, settings)
    send = careful_sender(settings, {"other": {"properties": {"n": {"type": "integer"}}}})
    with pytest.raises(Unreachable, match=r"index other exists with another mapping: n is"):
        send(encode(documents(1, index="other")[0]))
