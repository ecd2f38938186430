"""The index step with the operations of OpenSearch Serverless only, on a real OpenSearch."""

from __future__ import annotations

import time
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from opensearchpy.exceptions import NotFoundError

from connectors.errors import UserError
from connectors.opensearch.bulk import Document, Done, Limits, Rejected
from connectors.opensearch.client import client
from connectors.opensearch.options import Index, index_name
from connectors.opensearch.templates import careful_sender, ensure_templates
from pipeline.index.indexer import Indexer, RetryPolicy
from tests.connectors.serverless import NO_IDS, serverless

MAPPINGS: dict[str, Any] = {"trip": {"properties": {"n": {"type": "integer"}}}}


def settings(url: str) -> Index:
    return Index(url=url, prefix=f"aoss-{uuid4().hex}-", service="aoss", timeout_seconds=60.0)


def indexer(index: Index) -> Indexer:
    return Indexer(
        careful_sender(index, MAPPINGS),
        limits=Limits(),
        retry=RetryPolicy(seconds=0.5, first_pause=0.05),
        clock=time.monotonic,
        sleep=time.sleep,
        random=Random(1).random,
    )


def remove(index: Index, opensearch_url: str) -> None:
    real, name = client(Index(url=opensearch_url)), index_name(index.prefix, "trip")
    real.indices.delete(index=name, params={"ignore_unavailable": "true"})
    real.indices.delete_index_template(name=name)


def test_an_index_is_made_grown_and_filled(opensearch_url: str) -> None:
    with serverless(opensearch_url) as (url, refused):
        index = settings(url)
        ensure_templates(client(index), MAPPINGS, index)
        grown = {"trip": {"properties": {**MAPPINGS["trip"]["properties"], "m": {"type": "ip"}}}}
        ensure_templates(client(index), grown, index)
        name = index_name(index.prefix, "trip")
        outcomes = indexer(index).index([Document(name, "1", 5, b'{"n":1}')])
        assert outcomes == [Done.INDEXED]
        assert indexer(index).index([Document(name, "1", 4, b'{"n":2}')]) == [Done.STALE]
        assert refused == []
        remove(index, opensearch_url)


def test_looking_whether_ids_are_accepted_stores_nothing(opensearch_url: str) -> None:
    with serverless(opensearch_url) as (url, _):
        index = settings(url)
        ensure_templates(client(index), MAPPINGS, index)
        real, name = client(Index(url=opensearch_url)), index_name(index.prefix, "trip")
        real.indices.refresh(index=name)
        assert real.count(index=name)["count"] == 0
        remove(index, opensearch_url)


def test_a_collection_that_refuses_ids_is_refused(opensearch_url: str) -> None:
    with serverless(opensearch_url, ids=False) as (url, _):
        index = settings(url)
        with pytest.raises(UserError, match=f"{NO_IDS}.* collection of type SEARCH"):
            ensure_templates(client(index), MAPPINGS, index)
        document = Document(index_name(index.prefix, "trip"), "1", 5, b'{"n":1}')
        (outcome,) = indexer(index).index([document])
        assert isinstance(outcome, Rejected) and outcome.reason == "index_unavailable"
        assert NO_IDS in outcome.detail
        remove(index, opensearch_url)


def test_the_front_refuses_what_serverless_lacks(opensearch_url: str) -> None:
    with serverless(opensearch_url) as (url, refused):
        index = settings(url)
        ensure_templates(client(index), MAPPINGS, index)
        name = index_name(index.prefix, "trip")
        opensearch = client(index)
        with pytest.raises(NotFoundError):
            opensearch.indices.refresh(index=name)
        with pytest.raises(NotFoundError):
            opensearch.search(index=name, params={"scroll": "1m"})
        with pytest.raises(NotFoundError):
            opensearch.cluster.health()
        assert len(refused) == 3
        remove(index, opensearch_url)
