"""The index step and the templates against a real OpenSearch that is well."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from opensearchpy import OpenSearch

from connectors.errors import UserError
from connectors.opensearch.bulk import Document, Done, Limits, Outcome, Rejected, Send
from connectors.opensearch.client import bulk_sender, client
from connectors.opensearch.options import Index, index_name
from connectors.opensearch.templates import (
    IndexAway,
    careful_sender,
    ensure_templates,
    mapping_differences,
)
from pipeline.index.indexer import Indexer, RetryPolicy
from tests.documents import read_index

MAPPING = {
    "properties": {
        "n": {"type": "integer"},
        "at": {"type": "date"},
        "word": {"type": "keyword", "index": False},
        "place": {"properties": {"id": {"type": "short"}}},
    }
}


@pytest.fixture(scope="module")
def settings(opensearch_url: str) -> Iterator[Index]:
    """Settings with a prefix of this run's own; what is made under it is deleted at the end."""
    prefix = f"test-{uuid4().hex}-"
    made = Index(url=opensearch_url, prefix=prefix, refresh_interval="30s", timeout_seconds=60.0)
    yield made
    opensearch = client(made)
    opensearch.indices.delete(index=made.prefix + "*")
    opensearch.indices.delete_index_template(name=made.prefix + "*")


@pytest.fixture(scope="module")
def opensearch(settings: Index) -> OpenSearch:
    return client(settings)


@pytest.fixture
def index(settings: Index, opensearch: OpenSearch) -> str:
    """The name of a new index with MAPPING."""
    event_type = uuid4().hex
    ensure_templates(opensearch, {event_type: MAPPING}, settings)
    return index_name(settings.prefix, event_type)


def indexer(
    settings: Index,
    send: Send | None = None,
    *,
    limits: Limits | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Indexer:
    return Indexer(
        send or bulk_sender(settings),
        limits=limits or Limits(),
        retry=RetryPolicy(seconds=5.0, first_pause=0.05),
        clock=time.monotonic,
        sleep=sleep,
        random=Random(1).random,
    )


def reason(outcome: Outcome) -> str:
    return outcome.reason if isinstance(outcome, Rejected) else outcome.value


def test_what_is_indexed_can_be_read_back(settings: Index, index: str) -> None:
    opensearch = client(settings)
    documents = [Document(index, str(n), 1_000 + n, b'{"n":%d}' % n) for n in range(6_000)]
    step = indexer(settings)
    assert set(step.index(documents)) == {Done.INDEXED}
    assert step.counts.requests == 6
    found = {key: (version, source) for key, version, source in read_index(opensearch, index)}
    assert found == {str(n): (1_000 + n, {"n": n}) for n in range(6_000)}


def test_compressed_requests_are_understood(settings: Index, index: str) -> None:
    compressed = Index(url=settings.url, compress=True, timeout_seconds=60.0)
    assert indexer(compressed).index([Document(index, "1", 1, b'{"n":1}')]) == [Done.INDEXED]


def test_good_stale_and_refused_documents_in_one_request(settings: Index, index: str) -> None:
    step = indexer(settings)
    step.index([Document(index, "1", 5, b'{"n":1}')])
    outcomes = step.index(
        [
            Document(index, "1", 4, b'{"n":2}'),
            Document(index, "2", 1, b'{"n":1.5}'),
            Document(index, "3", 1, b'{"other":1}'),
            Document(index, "4", 1, b'{"at":"SECRET"}'),
            Document(index, "5", 1, b'{"place":{"id":7}}'),
            Document(index, "6" * 513, 1, b"{}"),
        ]
    )
    assert [reason(outcome) for outcome in outcomes] == [
        "stale",
        "index_rejected",
        "index_rejected",
        "index_rejected",
        "indexed",
        "document_id_too_long",
    ]
    assert not any("SECRET" in str(outcome) for outcome in outcomes)


def test_an_equal_version_that_arrives_later_stays(
    settings: Index, opensearch: OpenSearch, index: str
) -> None:
    step = indexer(settings)
    step.index([Document(index, "1", 5, b'{"n":1}'), Document(index, "1", 5, b'{"n":2}')])
    assert opensearch.get(index=index, id="1")["_source"] == {"n": 2}
    step.index([Document(index, "1", 5, b'{"n":3}')])
    assert opensearch.get(index=index, id="1")["_source"] == {"n": 3}


def test_a_document_that_spoils_the_whole_request_is_found(settings: Index, index: str) -> None:
    step = indexer(settings, limits=Limits(id_bytes=10_000))
    guilty = {7: "x" * 513, 400: "y" * 600}
    documents = [Document(index, guilty.get(n, str(n)), 1, b'{"n":1}') for n in range(500)]
    outcomes = step.index(documents)
    assert {n for n, outcome in enumerate(outcomes) if outcome is not Done.INDEXED} == set(guilty)
    assert {reason(outcomes[n]) for n in guilty} == {"index_rejected"}


def test_a_body_larger_than_the_server_takes_is_halved(settings: Index, index: str) -> None:
    send = bulk_sender(settings)
    step = Indexer(
        lambda body: send(body + bytes(100 << 20) if body.count(b"\n") > 4 else body),
        limits=Limits(),
        retry=RetryPolicy(seconds=30.0),
        clock=time.monotonic,
        sleep=lambda _: None,
        random=Random(1).random,
    )
    documents = [Document(index, str(n), 1, b'{"n":1}') for n in range(4)]
    assert step.index(documents) == [Done.INDEXED] * 4
    assert step.counts.requests == 3


@pytest.mark.parametrize(
    ("block", "seen"), [("write", "403"), ("read_only_allow_delete", "429"), ("read_only", "403")]
)
def test_a_block_is_waited_for(
    settings: Index, opensearch: OpenSearch, index: str, block: str, seen: str
) -> None:
    """read_only_allow_delete is what a full disk (flood stage) sets, by itself."""
    setting = f"index.blocks.{block}"
    opensearch.indices.put_settings(index=index, body={setting: True})
    (item,) = bulk_items(settings, index)
    assert str(item["index"]["status"]) == seen

    def lift(_: float) -> None:
        opensearch.indices.put_settings(index=index, body={setting: None})

    step = indexer(settings, sleep=lift)
    assert step.index([Document(index, "1", 1, b'{"n":1}')]) == [Done.INDEXED]
    assert step.counts.retries == 1


def bulk_items(settings: Index, index: str) -> list[dict[str, dict[str, int]]]:
    body = [{"index": {"_id": "1"}}, {"n": 1}]
    items: list[dict[str, dict[str, int]]] = client(settings).bulk(index=index, body=body)["items"]
    return items


def test_a_closed_index_is_waited_for(settings: Index, opensearch: OpenSearch, index: str) -> None:
    opensearch.indices.close(index=index)
    step = indexer(settings, sleep=lambda _: opensearch.indices.open(index=index))
    assert step.index([Document(index, "1", 1, b'{"n":1}')]) == [Done.INDEXED]


def test_templates_twice_are_the_same(settings: Index, opensearch: OpenSearch, index: str) -> None:
    event_type = index.removeprefix(settings.prefix)
    ensure_templates(opensearch, {event_type: MAPPING}, settings)
    mapping = opensearch.indices.get_mapping(index=index)[index]["mappings"]
    assert mapping == {**MAPPING, "dynamic": "strict"}
    made = opensearch.indices.get_settings(index=index)[index]["settings"]["index"]
    assert (made["refresh_interval"], made["number_of_replicas"]) == ("30s", "0")


def test_an_index_deleted_under_the_job_comes_back_strict(
    settings: Index, opensearch: OpenSearch, index: str
) -> None:
    opensearch.indices.delete(index=index)
    outcomes = indexer(settings).index(
        [Document(index, "1", 1, b'{"n":1}'), Document(index, "2", 1, b'{"other":1}')]
    )
    assert [reason(outcome) for outcome in outcomes] == ["indexed", "index_rejected"]


def test_an_index_with_another_mapping_is_named_with_its_fields(
    settings: Index, opensearch: OpenSearch, index: str
) -> None:
    kept = {name: each for name, each in MAPPING["properties"].items() if name != "word"}
    other = {"properties": {**kept, "n": {"type": "long"}, "new": {"type": "ip"}}}
    with pytest.raises(UserError) as raised:
        ensure_templates(opensearch, {index.removeprefix(settings.prefix): other}, settings)
    message = str(raised.value)
    assert index in message and "place" not in message
    assert "n is {'type': 'integer'}, must be {'type': 'long'}" in message
    assert "word" not in message and "new" not in message
    mapping = opensearch.indices.get_mapping(index=index)[index]["mappings"]
    assert mapping == {**MAPPING, "dynamic": "strict"}, "what is refused changes nothing"


def behind_alias(opensearch: OpenSearch, index: str, second: str = "", **options: Any) -> str:
    """A new event type whose index is an alias with these options of `index` (and `second`)."""
    event_type = uuid4().hex
    alias = index[: -len(event_type)] + event_type
    actions = [{"add": {"index": index, "alias": alias, **options}}]
    if second:
        actions.append({"add": {"index": second, "alias": alias, "is_write_index": True}})
    opensearch.indices.update_aliases(body={"actions": actions})
    return event_type


def test_an_alias_of_one_index_is_a_second_name(
    settings: Index, opensearch: OpenSearch, index: str
) -> None:
    event_type = behind_alias(opensearch, index)
    grown = {"properties": {**MAPPING["properties"], "new": {"type": "ip"}}}
    ensure_templates(opensearch, {event_type: grown}, settings)
    alias = index_name(settings.prefix, event_type)
    assert indexer(settings).index([Document(alias, "1", 5, b'{"new":"::1"}')]) == [Done.INDEXED]
    outcomes = indexer(settings).index([Document(index, "1", 4, b'{"n":1}')])
    assert outcomes == [Done.STALE], "there is one document, under either name"


def test_an_alias_of_two_indices_is_refused_with_their_names(
    settings: Index, opensearch: OpenSearch, index: str
) -> None:
    """What a rollover leaves, and what then happens without the check: two documents of one id."""
    second = index + "-000002"
    opensearch.indices.create(index=second, body={"mappings": MAPPING})
    event_type = behind_alias(opensearch, index, second, is_write_index=False)
    alias = index_name(settings.prefix, event_type)
    step = indexer(settings)
    step.index([Document(index, "1", 5, b'{"n":1}')])
    assert step.index([Document(alias, "1", 4, b'{"n":2}')]) == [Done.INDEXED], "an older version"
    opensearch.indices.refresh(index=alias)
    assert opensearch.count(index=alias)["count"] == 2
    with pytest.raises(UserError, match=rf"{alias} is an alias of .*\({index}, {second}\)"):
        ensure_templates(opensearch, {event_type: MAPPING}, settings)


def test_a_worker_behind_a_rolled_over_alias_makes_dead_letters(
    settings: Index, opensearch: OpenSearch, index: str
) -> None:
    second = index + "-000002"
    opensearch.indices.create(index=second, body={"mappings": MAPPING})
    event_type = behind_alias(opensearch, index, second, is_write_index=False)
    step = indexer(settings, careful_sender(settings, {event_type: MAPPING}))
    document = Document(index_name(settings.prefix, event_type), "1", 1, b'{"n":1}')
    (outcome,) = step.index([document])
    assert isinstance(outcome, Rejected) and outcome.reason == "index_unavailable"
    assert second in outcome.detail
    opensearch.indices.refresh(index=second)
    assert opensearch.count(index=second)["count"] == 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"is_write_index": True}, "has is_write_index"),
        ({"is_write_index": False}, "has is_write_index"),
        ({"filter": {"term": {"n": 1}}}, "has filter"),
        ({"routing": "x"}, "has index_routing, search_routing"),
    ],
)
def test_an_alias_that_is_no_second_name_is_refused(
    settings: Index, opensearch: OpenSearch, index: str, options: dict[str, Any], named: str
) -> None:
    event_type = behind_alias(opensearch, index, **options)
    with pytest.raises(UserError, match=rf"alias .*{event_type} of {index} {named}"):
        ensure_templates(opensearch, {event_type: MAPPING}, settings)


def test_a_data_stream_is_refused(settings: Index, opensearch: OpenSearch) -> None:
    event_type = uuid4().hex
    name = index_name(settings.prefix, event_type)
    body = {"index_patterns": [name], "data_stream": {}, "template": {"mappings": MAPPING}}
    opensearch.indices.put_index_template(name=name, body=body)
    opensearch.indices.create_data_stream(name=name)
    try:
        with pytest.raises(UserError, match=rf"{name} is a data stream \(.ds-{name}-000001\)"):
            ensure_templates(opensearch, {event_type: MAPPING}, settings)
    finally:
        opensearch.indices.delete_data_stream(name=name)


def test_a_closed_index_is_away_at_the_start_only(
    settings: Index, opensearch: OpenSearch, index: str
) -> None:
    opensearch.indices.close(index=index)
    wanted = {index.removeprefix(settings.prefix): MAPPING}
    with pytest.raises(IndexAway, match=rf"{index} at .* is closed; open it"):
        ensure_templates(opensearch, wanted, settings)
    ensure_templates(opensearch, wanted, settings, only_changes=True)


def test_a_template_with_precedence_is_refused_before_there_is_an_index(
    settings: Index, opensearch: OpenSearch
) -> None:
    event_type = uuid4().hex
    name = index_name(settings.prefix, event_type)
    other = settings.prefix + "other"
    body = {"index_patterns": [name[:-1] + "*"], "priority": 501}
    opensearch.indices.put_index_template(name=other, body=body)
    try:
        with pytest.raises(UserError, match=rf"template {other} \(pattern .*\*, priority 501\)"):
            ensure_templates(opensearch, {event_type: MAPPING}, settings)
        assert not opensearch.indices.exists(index=name)
    finally:
        opensearch.indices.delete_index_template(name=other)
    ensure_templates(opensearch, {event_type: MAPPING}, settings)


def test_an_index_gains_the_fields_that_it_lacks(
    settings: Index, opensearch: OpenSearch, index: str
) -> None:
    grown = {"properties": {**MAPPING["properties"], "new": {"type": "ip"}}}
    ensure_templates(opensearch, {index.removeprefix(settings.prefix): grown}, settings)
    documents = [Document(index, "1", 1, b'{"new":"::1"}'), Document(index, "2", 1, b'{"n":1}')]
    assert indexer(settings).index(documents) == [Done.INDEXED] * 2
    opensearch.indices.delete(index=index)
    assert indexer(settings).index(documents) == [Done.INDEXED] * 2, "its template has it too"


def test_a_job_may_go_back_to_the_schema_before(
    settings: Index, opensearch: OpenSearch, index: str
) -> None:
    before = {"properties": {"n": MAPPING["properties"]["n"]}}
    ensure_templates(opensearch, {index.removeprefix(settings.prefix): before}, settings)
    assert indexer(settings).index([Document(index, "1", 1, b'{"n":1}')]) == [Done.INDEXED]
    mapping = opensearch.indices.get_mapping(index=index)[index]["mappings"]
    assert mapping == {**MAPPING, "dynamic": "strict"}


def test_a_mapping_that_the_server_refuses_is_the_users_error(
    settings: Index, opensearch: OpenSearch
) -> None:
    with pytest.raises(UserError, match="400 .*Is index.url right") as raised:
        ensure_templates(opensearch, {"bad": {"properties": {"n": {"type": "odd"}}}}, settings)
    assert not isinstance(raised.value, IndexAway)


def test_a_server_that_is_away_is_the_users_error() -> None:
    away = Index(url="http://127.0.0.1:1")
    with pytest.raises(IndexAway, match="http://127.0.0.1:1: no connection"):
        ensure_templates(client(away), {"trip": MAPPING}, away)


def test_mappings_differ_in_dynamic_too() -> None:
    assert mapping_differences({}, {"dynamic": "strict"}) == ["dynamic is true, must be strict"]
