"""`tap index` on a real OpenSearch, also with the operations of OpenSearch Serverless only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch

from connectors.opensearch.client import client
from connectors.opensearch.options import Index
from pipeline.events.derive import mapping
from pipeline.events.event_types import load
from pipeline.options import ROOT
from tests.connectors.serverless import serverless
from tests.ops.tap.harness import Place

TYPES = {one.name: one for one in load(ROOT / "schemas")}
DOCUMENT = {"trip_id": 1, "dropoff_datetime": "2018-01-01T00:24:23.000Z"}


class Indices:
    """The indices of one test."""

    def __init__(self, place: Place) -> None:
        self.prefix = f"{place.name()}-"
        self.url = place.environment["OPENSEARCH_URL"]
        self.client: OpenSearch = client(Index(url=self.url, timeout_seconds=60.0))

    def name(self, event_type: str = "trip") -> str:
        return f"{self.prefix}{event_type}"

    def create(self, event_type: str = "trip", shards: int = 1) -> None:
        settings = {"number_of_shards": shards, "refresh_interval": "100ms"}
        body = {"settings": settings, "mappings": mapping(TYPES[event_type])}
        self.client.indices.create(index=self.name(event_type), body=body)

    def put(self, *ids: int, event_type: str = "trip", version: int = 5, **values: Any) -> None:
        for one in ids:
            self.client.index(
                index=self.name(event_type),
                id=str(one),
                body={**DOCUMENT, "trip_id": one, **values},
                version=version,
                version_type="external_gte",
            )

    def refresh(self) -> None:
        self.client.indices.refresh(index=self.name())


@pytest.fixture
def indices(place: Place) -> Iterator[Indices]:
    made = Indices(place)
    yield made
    made.client.indices.delete(index=f"{made.prefix}*")


def test_the_newest_are_shown_and_then_what_comes(indices: Indices, place: Place) -> None:
    indices.create()
    indices.put(*range(5))
    indices.refresh()
    config = place.config(index={"url": indices.url, "prefix": indices.prefix})
    with place.tap("index", config, "--json", "--newest", "2", "--limit", "5") as running:
        what = running.until_it_follows()
        assert indices.name("trip") in what and indices.name("fhv_trip") in what
        indices.put(2, 9, version=6)
        indices.create("fhv_trip")
        indices.put(7, event_type="fhv_trip")
        ended = running.ended()
    assert ended.code == 0, ended.notes
    before, after = ended.shown[:2], ended.shown[2:]
    assert [(each["id"], each["version"]) for each in before] == [("4", 5), ("3", 5)]
    found = sorted((each["index"], each["id"], each["version"]) for each in after)
    assert found == [
        (indices.name("fhv_trip"), "7", 5),
        (indices.name("trip"), "2", 6),
        (indices.name("trip"), "9", 6),
    ]
    assert after[0]["document"]["dropoff_datetime"] == DOCUMENT["dropoff_datetime"]


def test_every_shard_is_followed(indices: Indices, place: Place) -> None:
    indices.create(shards=3)
    indices.put(*range(20))
    indices.refresh()
    config = place.config(index={"url": indices.url, "prefix": indices.prefix})
    with place.tap("index", config, "--json", "--newest", "0", "--limit", "20") as running:
        running.until_it_follows()
        indices.put(*range(20, 40))
        ended = running.ended()
    assert sorted(int(each["id"]) for each in ended.shown) == list(range(20, 40))


def test_an_index_that_is_made_again_is_followed_from_its_first_document(
    indices: Indices, place: Place
) -> None:
    indices.create()
    indices.put(*range(20))
    indices.refresh()
    config = place.config(index={"url": indices.url, "prefix": indices.prefix})
    with place.tap("index", config, "--json", "--newest", "0", "--limit", "1") as running:
        running.until_it_follows()
        indices.client.indices.delete(index=indices.name())
        indices.create()
        indices.put(30)
        ended = running.ended()
    assert [each["id"] for each in ended.shown] == ["30"]


def test_a_collection_of_opensearch_serverless_is_followed(indices: Indices, place: Place) -> None:
    indices.create()
    indices.put(*range(3))
    indices.refresh()
    with serverless(indices.url) as (url, refused):
        section = {"url": url, "prefix": indices.prefix, "service": "aoss"}
        config = place.config(index=section)
        with place.tap("index", config, "--json", "--newest", "1", "--limit", "2") as running:
            running.until_it_follows()
            indices.put(8, version=6, dropoff_datetime="2019-01-01T00:00:00.000Z")
            ended = running.ended()
        assert (ended.code, refused) == (0, []), ended.notes
    assert len(ended.shown) == 2
    assert (ended.shown[1]["id"], ended.shown[1]["version"]) == ("8", 6)


def test_a_document_for_people_is_safe_to_print(indices: Indices, place: Place) -> None:
    indices.create()
    indices.put(1, store_and_fwd_flag="\x1b]0;owned\x07\u202e")
    indices.refresh()
    config = place.config(index={"url": indices.url, "prefix": indices.prefix})
    ended = place.run("index", config, "--limit", "1")
    head, content = ended.stdout.splitlines()
    assert head == f"document  {indices.name()}  1  version 5"
    assert "owned" in content
    assert all(c.isprintable() for c in ended.stdout.replace("\n", ""))


def test_an_index_that_is_not_there_is_waited_for(indices: Indices, place: Place) -> None:
    config = place.config(index={"url": indices.url, "prefix": indices.prefix})
    ended = place.run("index", config, "--timeout", "0")
    assert (ended.code, ended.stdout) == (1, "")
    told = r"0 of 10 shown in \d+ s; looked at 0 new documents in 3 searches of the indices "
    assert re.search(told, ended.notes)


def test_without_an_index_it_says_what_to_do(place: Place) -> None:
    ended = place.run("index", place.config())
    assert ended.code == 2
    assert "the configuration has no section index" in ended.notes


def test_an_opensearch_that_does_not_answer_is_named(place: Place) -> None:
    ended = place.run("index", place.config(index={"url": "http://127.0.0.1:1"}))
    assert ended.code == 2
    assert "cannot read the index fhv_trip: no connection" in ended.notes
    assert len(ended.notes.splitlines()) == 1
