"""Redriving what came from a Kinesis stream: back to it, or straight into the index."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.errors import UserError
from connectors.kinesis import reader as kinesis_stream
from connectors.kinesis.reader import Record
from connectors.opensearch.templates import ensure_templates
from pipeline.events.derive import mapping
from pipeline.ops.dead_letters.redrive import NO_HEADERS
from tests.decode.corpus import line
from tests.ops.dead_letters.harness import BackEnd, Case, DeadRecord, Servers

EVENT = line()
EVENT_ID = 4071441


@pytest.mark.parametrize("back_end", ["kinesis", "s3"])
def test_decode_goes_back_to_the_stream(servers: Servers, back_end: BackEnd) -> None:
    case = servers.case(back_end, "kinesis")
    odd = bytes(range(256))
    raws = [odd, b"", EVENT, odd + b"other part"]
    position = case.position(1)  # two parts of one aggregated record share it
    positions = [position, case.position(2), case.position(3), position]
    case.write([DeadRecord(raw=raw, position=at) for raw, at in zip(raws, positions, strict=True)])

    assert case.json("redrive", "--all", "--dry-run")["would_redrive"] == 4
    assert case.json("redrive", "--all")["by_target"] == {f"the stream {case.name}": 4}
    found = stored(case)
    assert sorted(record.data for record in found) == sorted(raws)
    assert [record.key for record in found if record.data == EVENT] == [str(EVENT_ID)]

    assert case.json("redrive", "--all")["already_redriven"] == 4
    assert len(stored(case)) == 4
    log = "letters/_redriven/" if back_end == "s3" else "large/_redriven/"
    assert len(case.keys(log)) == 1


def test_dead_letters_of_index_go_into_the_index(servers: Servers) -> None:
    case = servers.case("s3", "kinesis")
    make_indices(case)
    case.write(
        [
            DeadRecord(
                raw=EVENT, position=case.position(1), step="index", reason="index_unavailable"
            ),
            DeadRecord(raw=b"{", position=case.position(2), step="index", reason="index_rejected"),
        ]
    )
    report = case.json("redrive", "--step", "index", exit_code=1)
    assert report["by_target"] == {"the index": 1}
    assert list(report["cannot_be_redriven"]) == ["decode refuses it now: truncated_json"]
    assert documents(case) == [str(EVENT_ID)]
    assert case.json("redrive", "--step", "index", exit_code=1)["already_redriven"] == 1
    assert stored(case) == []


def test_an_unreachable_index_is_a_refusal(servers: Servers) -> None:
    case = servers.case("s3", "kinesis")
    config = case.config()
    config["index"]["url"] = "http://127.0.0.1:1"
    case.configure(config)
    case.write([DeadRecord(raw=EVENT, position=case.position(1), step="index")])
    report = case.json("redrive", "--step", "index", exit_code=1)
    assert list(report["cannot_be_redriven"]) == ["the index refused it: index_unavailable"]
    assert case.keys("letters/_redriven/") == []


def test_those_of_a_replica_cannot_be_redriven(servers: Servers) -> None:
    case = servers.case("s3", "kinesis")
    detail = "replica airport: 1234567 bytes"
    case.write([DeadRecord(raw=EVENT, position=case.position(1), step="replicate", detail=detail)])
    report = case.json("redrive", "--all", exit_code=1)
    assert list(report["cannot_be_redriven"]) == [NO_HEADERS]


def test_a_configuration_without_a_path_for_the_redrive_log_is_refused(servers: Servers) -> None:
    case = servers.case("kafka", "kinesis")
    config = case.config()
    del config["archive"], config["dead_letters"]["large_path"]
    case.configure(config)
    case.write([DeadRecord(raw=EVENT, position=case.position(1))])
    result = case.run("redrive", "--all")
    assert isinstance(result.exception, UserError)
    assert "dead_letters.large_path or archive.path" in str(result.exception)


def stored(case: Case) -> list[Record]:
    return list(kinesis_stream.records(*case.systems.stream(case.name)))


def make_indices(case: Case) -> None:
    systems = case.systems
    assert systems.config.index
    mappings = {each.name: mapping(each) for each in systems.types}
    ensure_templates(systems.opensearch(), mappings, systems.config.index)


def documents(case: Case) -> list[str]:
    client: Any = case.systems.opensearch()
    client.indices.refresh(index=f"{case.name}-*")
    found = client.search(index=f"{case.name}-*", body={"query": {"match_all": {}}})
    return [hit["_id"] for hit in found["hits"]["hits"]]
