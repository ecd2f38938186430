"""The original application's properties become our sections; what it ignored is refused."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.errors import UserError
from pipeline.config import legacy as original_properties
from pipeline.config import load as load_config
from pipeline.config.convert import sections
from pipeline.config.model import Config

BUCKET = {"OutputBucket": "s3://bucket/streaming-etl-output/"}
STREAM = {"InputKinesisStream": "trips", "InputStreamRegion": "eu-west-1"}
TOPIC = {"InputKafkaBootstrapServers": "127.0.0.1:9092", "InputKafkaTopic": "trips"}
ENDPOINT = {
    "OutputElasticsearchEndpoint": "https://search.example",
    "ElasticsearchRegion": "eu-west-1",
}
OUT_TOPIC = {"OutputKafkaBootstrapServers": "127.0.0.1:9192", "OutputKafkaTopic": "copy"}


@pytest.fixture(autouse=True)
def no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def loaded(properties: dict[str, str], **own: dict[str, str]) -> Config:
        groups = {original_properties.GROUP: properties}
        groups |= {name.replace("__", "."): keys for name, keys in own.items()}
        path = tmp_path / "application_properties.json"
        path.write_text(
            json.dumps([{"PropertyGroupId": k, "PropertyMap": v} for k, v in groups.items()])
        )
        return load_config.load_property_groups(path)

    return loaded


def get(config: Config, path: str) -> Any:
    value: Any = msgspec.to_builtins(config)
    for part in path.split("."):
        value = value[part]
    return value


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (STREAM, {"source.kinesis_streams": ("trips",), "kinesis.region": "eu-west-1"}),
        (STREAM, {"source.kinesis_start": "trim_horizon"}),
        (STREAM | {"InputStreamInitalPosition": "LATEST"}, {"source.kinesis_start": "latest"}),
        (
            STREAM | {"InputStreamInitialPosition": "TRIM_HORIZON"},
            {"source.kinesis_start": "trim_horizon"},
        ),
        (
            STREAM
            | dict.fromkeys(("InputStreamInitalPosition", "InputStreamInitialPosition"), "LATEST"),
            {"source.kinesis_start": "latest"},
        ),
        (
            STREAM
            | {"InputStreamInitalPosition": "AT_TIMESTAMP"}
            | {"TimestampPosition": "2018-01-01T00:00:00Z"},
            {
                "source.kinesis_start": "at_timestamp",
                "source.kinesis_start_timestamp": "2018-01-01T00:00:00Z",
            },
        ),
        (
            TOPIC,
            {"kafka.bootstrap_servers": "127.0.0.1:9092", "source.kafka_topics": ("trips",)},
        ),
        (STREAM | TOPIC, {"source.kafka_topics": ("trips",)}),
        (
            TOPIC,
            {
                "lake.path": "s3a://bucket/streaming-etl-output/lake",
                "archive.path": "s3a://bucket/streaming-etl-output/archive",
                "dead_letters.path": "s3a://bucket/streaming-etl-output/dead-letters",
            },
        ),
        (TOPIC | {"OutputBucket": "s3a://bucket"}, {"lake.path": "s3a://bucket/lake"}),
        (
            TOPIC | {"OutputBucket": "s3://bucket", "OutputPrefix": "/a/b/"},
            {"lake.path": "s3a://bucket/a/b/lake", "archive.path": "s3a://bucket/a/b/archive"},
        ),
        (
            TOPIC | {"ParquetConversion": "True"},
            {"lake.path": "s3a://bucket/streaming-etl-output/lake"},
        ),
        (
            TOPIC | ENDPOINT,
            {
                "index.url": "https://search.example",
                "index.auth": "sigv4",
                "index.region": "eu-west-1",
            },
        ),
        (
            TOPIC | ENDPOINT | {"ElasticsearchBulkFlushMaxSizeMb": "5"},
            {"index.max_bytes": 5_242_880},
        ),
        (
            TOPIC | ENDPOINT | {"ElasticsearchBulkFlushMaxActions": "500"},
            {"index.max_documents": 500},
        ),
        (
            TOPIC | ENDPOINT | {"ElasticsearchBulkFlushInterval": "1000"},
            {"job.bundle_milliseconds": 1000},
        ),
        (
            STREAM | {"OutputKinesisStream": "copy", "OutputStreamRegion": "eu-west-1"},
            {"replicate.kinesis.kinesis_stream": "copy", "kinesis.region": "eu-west-1"},
        ),
        (
            TOPIC | OUT_TOPIC,
            {
                "clusters.output.bootstrap_servers": "127.0.0.1:9192",
                "replicate.kafka.kafka_topic": "copy",
                "replicate.kafka.kafka_cluster": "output",
            },
        ),
        (TOPIC | {"OutputDiscarding": "true"}, {"job.discard": True}),
        (TOPIC | {"OutputDiscarding": "false"}, {"job.discard": False}),
    ],
)
def test_a_property_becomes_our_key(
    load: Any, properties: dict[str, str], expected: dict[str, Any]
) -> None:
    config = load(BUCKET | properties)
    assert {key: get(config, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"InputKinesisStreamName": "x"}, ["InputKinesisStreamName is unknown", "did you mean In"]),
        (
            STREAM
            | {"InputStreamInitalPosition": "LATEST", "InputStreamInitialPosition": "TRIM_HORIZON"},
            ["InputStreamInitalPosition says latest", "InputStreamInitialPosition says trim_ho"],
        ),
        (STREAM | {"InputStreamInitalPosition": "latest"}, ["is 'latest'", "give LATEST or TRIM_"]),
        (
            STREAM | {"InputStreamInitalPosition": "AT_TIMESTAMP"},
            ["kinesis_start_timestamp is empty"],
        ),
        ({"InputKinesisStream": "trips"}, ["source.kinesis_streams has trips", "region is empty"]),
        (
            {"InputKafkaTopic": "trips"},
            ["InputKafkaTopic is 'trips', without InputKafkaBootstrapServers"],
        ),
        (
            {"InputKafkaBootstrapServers": "127.0.0.1:9092"},
            ["InputKafkaBootstrapServers is '127.0.0.1:9092', without InputKafkaTopic"],
        ),
        (
            TOPIC | {"InputKafkaBootstrapServers": "b-1.far:9092"},
            ["has b-1.far:9092", "property group kafka", "allow_plaintext to true"],
        ),
        (TOPIC | {"OutputBucket": "bucket"}, ["OutputBucket is 'bucket'", "s3://bucket/prefix/"]),
        (TOPIC | {"ParquetConversion": "false"}, ["is 'false'", "Parquet only", "archive keeps"]),
        (
            TOPIC | {"ElasticsearchRegion": "eu-west-1"},
            ["ElasticsearchRegion is 'eu-west-1', without OutputElasticsearchEndpoint"],
        ),
        (
            TOPIC | {"OutputElasticsearchEndpoint": "https://search.example"},
            ["index.auth is sigv4", "set index.region"],
        ),
        (
            TOPIC | ENDPOINT | {"ElasticsearchBulkFlushMaxSizeMb": "50"},
            ["MaxSizeMb is '50'", "1 to 9"],
        ),
        (
            TOPIC | ENDPOINT | {"ElasticsearchBulkFlushMaxActions": "10001"},
            ["MaxActions is '10001'", "1 to 10000", "application_properties.json: group Fl"],
        ),
        (
            TOPIC | ENDPOINT | {"ElasticsearchBulkFlushMaxActions": "-1"},
            ["is '-1'", "give a whole number"],
        ),
        (
            STREAM | {"OutputKinesisStream": "copy", "OutputStreamRegion": "us-east-1"},
            ["InputStreamRegion says eu-west-1", "OutputStreamRegion says us-east-1", "its ARN"],
        ),
        (
            {"InputKinesisStream": "trips", "OutputStreamRegion": "us-east-1"},
            ["OutputStreamRegion is 'us-east-1', without InputStreamRegion", "AWS_REGION is not"],
        ),
        (
            TOPIC | {"OutputKafkaTopic": "copy"},
            ["OutputKafkaTopic is 'copy', without OutputKafkaBootstrapServers"],
        ),
        (
            TOPIC | {"OutputKafkaBootstrapServers": "127.0.0.1:9192"},
            ["OutputKafkaBootstrapServers is '127.0.0.1:9192', without OutputKafkaTopic"],
        ),
        (TOPIC | {"OutputDiscarding": "yes"}, ["is 'yes'", "give true or false"]),
    ],
)
def test_what_the_original_ignored_is_refused(
    load: Any, properties: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        load(BUCKET | properties)
    for word in words:
        assert word in str(caught.value)


def test_a_prefix_needs_its_bucket(load: Any) -> None:
    with pytest.raises(UserError, match="OutputPrefix is 'a', without OutputBucket"):
        load(TOPIC | {"OutputPrefix": "a"})


def test_without_a_bucket_the_dead_letters_need_a_place(load: Any) -> None:
    with pytest.raises(UserError, match="property group.* dead_letters with path"):
        load(TOPIC | ENDPOINT)
    config = load(TOPIC | ENDPOINT, dead_letters={"kafka_topic": "dead"})
    assert config.archive is None


def test_our_own_groups_say_otherwise(load: Any) -> None:
    own = {"archive": {"kafka_topic": "raw"}, "index": {"auth": "none"}}
    config = load(BUCKET | TOPIC | ENDPOINT, **own)
    assert (get(config, "archive.kafka_topic"), get(config, "archive.path")) == ("raw", "")
    assert get(config, "dead_letters.path").endswith("/dead-letters")
    assert get(config, "index.auth") == "none"


def test_half_of_a_pair_may_be_ours(load: Any) -> None:
    config = load(BUCKET | {"InputKafkaTopic": "trips"}, kafka={"bootstrap_servers": "[::1]:9092"})
    assert get(config, "kafka.bootstrap_servers") == "[::1]:9092"


def test_two_that_disagree_are_refused_with_both_values(load: Any) -> None:
    with pytest.raises(UserError) as caught:
        load(BUCKET | STREAM, source={"kinesis_streams": "other"})
    assert "source.kinesis_streams says other" in str(caught.value)
    assert "InputKinesisStream says trips" in str(caught.value)
    same = load(BUCKET | STREAM, source={"kinesis_streams": "trips"})
    assert same.source.kinesis_streams == ("trips",)


def test_the_region_of_the_environment(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    stream = {"InputKinesisStream": "trips"}
    endpoint = {"OutputElasticsearchEndpoint": "https://search.example"}
    config = load(BUCKET | stream | endpoint)
    assert (get(config, "kinesis.region"), get(config, "index.region")) == ("us-west-2",) * 2
    assert get(load(BUCKET | stream, kinesis={"region": "eu-west-1"}), "kinesis.region") == (
        "eu-west-1"
    )
    with pytest.raises(UserError, match="InputStreamRegion says eu-west-1 and AWS_REGION, for"):
        load(BUCKET | STREAM | {"OutputKinesisStream": "copy"})


def test_another_region_is_written_to_by_its_arn(load: Any) -> None:
    arn = "arn:aws:kinesis:us-east-1:123456789012:stream/trips"
    config = load(BUCKET | STREAM, replicate__kinesis={"kinesis_stream": arn})
    assert config.replicate["kinesis"].kinesis_stream == arn


def test_each_property_used_is_logged_once_without_its_value(
    load: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        load(BUCKET | STREAM)
    assert caplog.messages == [
        "OutputBucket is deprecated; use lake.path, archive.path, dead_letters.path",
        "InputKinesisStream is deprecated; use source.kinesis_streams",
        "InputStreamRegion is deprecated; use kinesis.region",
    ]


def test_the_originals_cloudformation_runs_as_it_is(
    load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    config = load(
        {
            "OutputBucket": "s3://streaming-etl-bucket-1a2b3c/streaming-etl-output/",
            "ParquetConversion": "true",
            "InputKinesisStream": "streaming-etl-stream-1a2b3c",
        },
        kinesis__analytics__flink__run__options={"python": "main.py"},
    )
    base = "s3a://streaming-etl-bucket-1a2b3c/streaming-etl-output"
    assert get(config, "source.kinesis_streams") == ("streaming-etl-stream-1a2b3c",)
    assert get(config, "kinesis.region") == "eu-west-1"
    places = {name: get(config, f"{name}.path") for name in ("lake", "archive", "dead_letters")}
    assert places == {
        "lake": f"{base}/lake",
        "archive": f"{base}/archive",
        "dead_letters": f"{base}/dead-letters",
    }
    assert (config.index, config.replicate, config.kafka) == (None, {}, None)


def test_every_property_leads_to_a_key_of_ours() -> None:
    found = sections()
    for each in original_properties.PROPERTIES.values():
        for ours in (each.key, *each.also):
            section, *_, key = ours.split(".") if "." in ours else (ours, "path")
            assert key in found[section].__struct_fields__


def test_a_region_of_no_input_gives_way_to_the_outputs(load: Any) -> None:
    out = {"OutputKinesisStream": "copy", "OutputStreamRegion": "us-east-1"}
    config = load(BUCKET | TOPIC | out | {"InputStreamRegion": "eu-west-1"})
    assert get(config, "kinesis.region") == "us-east-1"


def test_streams_of_our_own_are_inputs_too(load: Any) -> None:
    out = {"OutputKinesisStream": "copy", "OutputStreamRegion": "us-east-1"}
    with pytest.raises(UserError, match="without InputStreamRegion"):
        load(BUCKET | out, source={"kinesis_streams": "trips"})
    with pytest.raises(UserError, match="InputStreamRegion says eu-west-1"):
        load(BUCKET | out | {"InputStreamRegion": "eu-west-1"}, source={"kinesis_streams": "trips"})


def test_the_table_is_in_the_page() -> None:
    page = Path(__file__).parents[2] / "docs" / "migration.md"
    table = page.read_text().split("## What differs")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    listed = {cells[0].strip("| `"): cells[1].strip("`").split("`, `") for cells in rows}
    assert listed == {
        name: list(each.ours) for name, each in original_properties.PROPERTIES.items()
    }
    assert all(len(cells) == 3 and cells[2].endswith(". |") for cells in rows)
