"""The index step against an index in memory: every document ends in exactly one outcome."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.opensearch.bulk import Answer, Document, Done, Limits, Rejected, Unreachable
from pipeline.index.indexer import Indexer, RetryPolicy
from tests.connectors.memory_index import Fault
from tests.index.in_memory import REFUSED, RESET, Bench, Time, bench, reasons, trip


def test_documents_are_indexed_and_counted() -> None:
    b = bench()
    assert b.index(trip(1), trip(2)) == [Done.INDEXED, Done.INDEXED]
    assert b.memory.stored == {("trip", "1"): (1, {"n": 1}), ("trip", "2"): (1, {"n": 1})}
    assert (b.indexer.counts.indexed, b.indexer.counts.requests) == (2, 1)
    assert b.indexer.counts.bytes == len(b.bodies[0])


def test_nothing_to_index_asks_nothing() -> None:
    b = bench()
    assert b.index() == [] and b.bodies == []


def test_ids_are_encoded_never_pasted() -> None:
    b = bench()
    evil = '1"}}\n{"delete":{"_index":"trip","_id":"2'
    assert b.index(trip(evil)) == [Done.INDEXED]
    assert b.ids() == [[evil]]


def test_a_body_with_a_line_break_is_never_sent() -> None:
    b = bench()
    hidden = b'{"n":1}\n{"delete":{"_index":"trip","_id":"2"}}'
    assert reasons(b.index(trip(1, body=hidden))) == ["index_rejected"]
    assert b.bodies == []


def test_an_older_version_is_stale_and_an_equal_one_replaces() -> None:
    b = bench()
    b.index(trip(1, 5))
    assert b.index(trip(1, 4)) == [Done.STALE]
    assert b.index(trip(1, 5, b'{"n":2}')) == [Done.INDEXED]
    assert b.memory.stored["trip", "1"] == (5, {"n": 2})
    assert b.indexer.counts.stale == 1


def test_of_one_id_only_the_newest_is_sent() -> None:
    b = bench()
    outcomes = b.index(trip(1, 5), trip(1, 7, b'{"n":2}'), trip(1, 7, b'{"n":3}'), trip(1, 6))
    assert outcomes == [Done.STALE, Done.STALE, Done.INDEXED, Done.STALE]
    assert b.ids() == [["1"]]
    assert b.memory.stored["trip", "1"] == (7, {"n": 3})


def test_the_same_id_in_another_index_is_another_document() -> None:
    assert bench().index(trip(1), trip(1, index="green")) == [Done.INDEXED, Done.INDEXED]


def test_where_the_newest_is_refused_the_next_takes_its_place() -> None:
    b = bench()
    outcomes = b.index(trip(1, 5), trip(1, 6), trip(1, 7, b'{"n":"bad"}'))
    assert reasons(outcomes) == ["stale", "indexed", "index_rejected"]
    assert b.memory.stored["trip", "1"] == (6, {"n": 1})


def test_a_refused_document_is_rejected_alone() -> None:
    b = bench()
    outcomes = b.index(trip(1), trip(2, body=b'{"other":1}'), trip(3))
    assert reasons(outcomes) == ["indexed", "index_rejected", "indexed"]
    assert b.indexer.counts.rejected == {"index_rejected": 1}


def test_a_missing_index_has_its_own_reason() -> None:
    outcomes = bench().index(trip(1, index="none"), trip(2))
    assert reasons(outcomes) == ["index_missing", "indexed"]


def test_the_detail_holds_no_value_and_is_bounded() -> None:
    secret = "failed to parse field [n]. Preview of field's value: 'SECRET'"
    item = {"index": {"status": 400, "error": {"type": "x", "reason": secret}}}
    (outcome,) = answering(200, {"errors": True, "items": [item]}).index([trip(1)])
    assert outcome == Rejected("index_rejected", "400: x: failed to parse field [n]")
    item["index"]["error"] = {"type": "x", "reason": "y" * 10_000}
    (outcome,) = answering(200, {"errors": True, "items": [item]}).index([trip(1)])
    assert isinstance(outcome, Rejected) and len(outcome.detail) == 300


def answering(status: int, answer: object) -> Indexer:
    """An indexer whose server gives one answer for ever."""
    body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
    time = Time()
    return Indexer(
        lambda _: Answer(status, body),
        limits=Limits(),
        retry=RetryPolicy(),
        clock=time.clock,
        sleep=time.sleep,
        random=lambda: 1.0,
    )


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (401, {"error": {"type": "security_exception", "reason": "no"}}),
        (403, {"message": "The security token included in the request is expired"}),
        (404, b"<html>"),
        (301, b""),
        (500, b"\xff"),
        (503, {"error": "starting"}),
        (200, b"<html>"),
        (200, {"errors": False, "items": []}),
        (200, {"errors": True, "items": [{"index": {"status": 403}}]}),
        (200, {"errors": True, "items": [{"index": {"status": 503}}]}),
        (
            200,
            {
                "errors": True,
                "items": [{"index": {"status": 400, "error": {"type": "index_closed_exception"}}}],
            },
        ),
    ],
)
def test_what_is_not_the_documents_fault_is_tried_again_then_unavailable(
    status: int, answer: object
) -> None:
    indexer = answering(status, answer)
    (outcome,) = indexer.index([trip(1)])
    assert isinstance(outcome, Rejected) and outcome.reason == "index_unavailable"
    assert indexer.counts.requests > 5


def test_only_the_failed_items_are_sent_again() -> None:
    b = bench(frozenset({0, 2}), frozenset({1}))
    assert b.index(trip(1), trip(2), trip(3)) == [Done.INDEXED] * 3
    assert b.ids() == [["1", "2", "3"], ["1", "3"], ["3"]]
    assert b.indexer.counts.retries == 2


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 504, 401, 403, REFUSED, RESET])
def test_a_whole_request_that_failed_is_sent_again(fault: Fault) -> None:
    b = bench(fault, fault)
    assert b.index(trip(1), trip(2)) == [Done.INDEXED] * 2


def test_pauses_grow_with_full_jitter_up_to_the_longest() -> None:
    b = bench(*[REFUSED] * 7, retry=RetryPolicy(first_pause=0.2, longest_pause=5.0))
    b.index(trip(1))
    assert b.time.pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    b = bench(*[REFUSED] * 4, random=iter([0.5, 0.25, 0.0, 0.75]).__next__)
    b.index(trip(1))
    assert b.time.pauses == pytest.approx([0.1, 0.1, 0.02, 1.2])


def test_a_success_makes_the_next_pause_short_again() -> None:
    b = bench(REFUSED, REFUSED, None, REFUSED, limits=Limits(documents=1))
    assert b.index(trip(1), trip(2)) == [Done.INDEXED] * 2
    assert b.time.pauses == pytest.approx([0.2, 0.4, 0.2])


def test_a_request_refused_as_a_whole_is_halved_down_to_the_guilty() -> None:
    b = bench(limits=Limits(id_bytes=10_000))
    guilty = {3: "x" * 513, 70: "y" * 600}
    outcomes = b.index(*[trip(guilty.get(n, n)) for n in range(100)])
    assert {n for n, o in enumerate(outcomes) if o is not Done.INDEXED} == set(guilty)
    assert {reasons(outcomes)[n] for n in guilty} == {"index_rejected"}
    assert len(b.bodies) < 35 and b.time.pauses == []


def test_a_request_too_large_for_the_server_is_halved() -> None:
    b = bench()
    b.memory.largest_request = 300
    outcomes = b.index(*[trip(n) for n in range(20)], trip(20, body=b" " * 400 + b'{"n":1}'))
    assert reasons(outcomes) == ["indexed"] * 20 + ["document_too_large"]


def test_a_connection_broken_off_halves_the_request() -> None:
    b = bench(RESET, RESET)
    assert b.index(*[trip(n) for n in range(8)]) == [Done.INDEXED] * 8
    assert [len(ids) for ids in b.ids()] == [8, 4, 2, 2, 4]


def test_ids_and_documents_beyond_the_limits_are_never_sent() -> None:
    b = bench(limits=Limits(bytes=1_000))
    outcomes = b.index(trip("é" * 257), trip(1, body=b"1" * 1_000), trip("é" * 256))
    assert reasons(outcomes) == ["document_id_too_long", "document_too_large", "indexed"]
    assert outcomes[0] == Rejected("document_id_too_long", "514 bytes, at most 512")
    assert b.ids() == [["é" * 256]]


def away(b: Bench) -> None:
    b.memory.faults = deque([REFUSED] * 10_000)


def test_an_index_that_stays_away_costs_the_bound_once() -> None:
    b = bench(retry=RetryPolicy(seconds=30.0), limits=Limits(documents=2))
    away(b)
    outcomes = b.index(*[trip(n) for n in range(10)])
    assert outcomes == [Rejected("index_unavailable", "no connection")] * 10
    assert b.time.now == pytest.approx(1_030.0)
    asked = len(b.bodies)
    assert reasons(b.index(trip(11))) == ["index_unavailable"]
    assert len(b.bodies) == asked and b.time.now == pytest.approx(1_030.0)


def test_while_away_one_probe_per_period_and_back_at_its_first_success() -> None:
    b = bench(retry=RetryPolicy(breaker_seconds=30.0), limits=Limits(documents=2))
    away(b)
    b.index(trip(1))
    for _ in range(3):
        b.time.now += 30.0
        asked = len(b.bodies)
        assert reasons(b.index(*[trip(n) for n in range(10)])) == ["index_unavailable"] * 10
        assert reasons(b.index(trip(1))) == ["index_unavailable"]
        assert len(b.bodies) == asked + 1
    b.memory.faults.clear()
    assert reasons(b.index(trip(1))) == ["index_unavailable"]
    b.time.now += 30.0
    assert b.index(*[trip(n) for n in range(10)]) == [Done.INDEXED] * 10
    b.memory.faults.append(REFUSED)
    assert b.index(trip(1)) == [Done.INDEXED]


def test_a_blocked_index_is_unavailable_and_does_not_hold_up_the_others() -> None:
    b = bench()
    b.memory.blocked = {"green"}
    assert reasons(b.index(trip(1), trip(2, index="green"))) == ["indexed", "index_unavailable"]
    now = b.time.now
    assert reasons(b.index(trip(3), trip(4, index="green"))) == ["indexed", "index_unavailable"]
    assert b.time.now == now
    b.memory.blocked.clear()
    b.time.now += 30.0
    assert b.index(trip(5), trip(6, index="green")) == [Done.INDEXED] * 2


def test_time_that_requests_take_counts_only_when_they_fail() -> None:
    b = bench(retry=RetryPolicy(seconds=30.0))
    slow: list[float] = []

    def take(body: bytes) -> Answer:
        b.time.now += 20.0
        slow.append(20.0)
        if len(slow) > 3:
            raise Unreachable("no answer in time")
        return b.memory(body)

    indexer = Indexer(
        take,
        limits=Limits(documents=1),
        retry=RetryPolicy(seconds=30.0),
        clock=b.time.clock,
        sleep=b.time.sleep,
        random=lambda: 1.0,
    )
    outcomes = indexer.index([trip(n) for n in range(9)])
    assert reasons(outcomes) == ["indexed"] * 3 + ["index_unavailable"] * 6
    assert len(slow) == 5


@pytest.mark.parametrize(
    "wrong",
    [lambda: Limits(documents=0), lambda: Limits(bytes=10_000_000), lambda: Limits(bytes=9)],
)
def test_limits_that_would_send_nothing_or_too_much_are_refused(
    wrong: Callable[[], Limits],
) -> None:
    with pytest.raises(ValueError, match="at least 1 document"):
        wrong()


@settings(deadline=None)
@given(st.lists(st.integers(0, 2_500), max_size=60), st.integers(1, 7), st.integers(1_000, 3_000))
def test_requests_stay_in_bounds_lose_nothing_and_keep_the_order(
    sizes: list[int], most: int, limit: int
) -> None:
    b = bench(limits=Limits(documents=most, bytes=limit))
    outcomes = b.index(*[trip(n, body=b'{"n":1}' + b" " * size) for n, size in enumerate(sizes)])
    assert all(len(body) <= limit for body in b.bodies)
    assert all(len(ids) <= most for ids in b.ids())
    sent = [key for ids in b.ids() for key in ids]
    assert sent == [str(n) for n, outcome in enumerate(outcomes) if outcome is Done.INDEXED]
    assert set(reasons(outcomes)) <= {"indexed", "document_too_large"}


FAULTS = st.one_of(
    st.none(),
    st.sampled_from([REFUSED, RESET, 400, 401, 413, 429, 500, 503]),
    st.frozensets(st.integers(0, 8)),
)
DOCUMENTS = st.builds(
    trip,
    st.sampled_from(["a", "b", "c", "d", "e" * 513, "f"]),
    st.integers(0, 3),
    st.sampled_from([b'{"n":1}', b'{"n":2}', b'{"n":3}', b'{"n":"bad"}', b"", b" " * 2_000]),
    st.sampled_from(["trip", "green", "none"]),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(DOCUMENTS, max_size=12), max_size=4),
    st.lists(FAULTS, max_size=30),
    st.floats(0, 1, exclude_max=True),
)
def test_whatever_fails_every_document_has_one_outcome_and_the_newest_stays(
    calls: list[list[Document]], faults: list[Fault | None], chance: float
) -> None:
    limits = Limits(documents=4, bytes=1_500)
    b = bench(*faults, limits=limits, retry=RetryPolicy(seconds=3.0), random=lambda: chance)
    indexed: dict[tuple[str, str], tuple[int, Document]] = {}
    for call in calls:
        started = b.time.now
        outcomes = b.index(*call)
        assert len(outcomes) == len(call)
        assert b.time.now - started <= 3.0 + 1e-6
        for document, outcome in zip(call, outcomes, strict=True):
            place = (document.index, document.id)
            if outcome is Done.INDEXED and document.version >= indexed.get(place, (0,))[0]:
                indexed[place] = (document.version, document)
    counts = b.indexer.counts
    assert counts.indexed + counts.stale + counts.rejected.total() == sum(map(len, calls))
    stored = {place: version for place, (version, _) in b.memory.stored.items()}
    assert stored == {place: version for place, (version, _) in indexed.items()}
    for place, (_, document) in indexed.items():
        assert b.memory.stored[place][1] == msgspec.json.decode(document.body)
