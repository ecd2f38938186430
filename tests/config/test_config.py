"""The configuration: every mistake is reported with the key, the value and what is allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from pipeline.config import load as load_config
from pipeline.config import reference
from pipeline.config.model import Config

ROOT = Path(__file__).parents[2]
BASE: dict[str, dict[str, Any]] = {
    "kafka": {"bootstrap_servers": "127.0.0.1:9092"},
    "source": {"kafka_topics": ["trips"]},
    "archive": {"path": "s3a://bucket/archive"},
    "index": {"url": "http://127.0.0.1:9200"},
    "dead_letters": {"kafka_topic": "dead"},
}


def check(*without: str, **changed: dict[str, Any]) -> Config:
    sections = {name: dict(keys) for name, keys in BASE.items() if name not in without}
    for name, keys in changed.items():
        sections[name] = {**sections.get(name, {}), **keys}
    return load_config.check(sections, where="test.yaml")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sources": {}}, ["section sources is unknown", "did you mean `source`"]),
        ({"source": {"kafka_topic": "x"}}, ["source.kafka_topic ", "did you mean `kafka_topics`"]),
        ({"source": {"zzz": 1}}, ["source.zzz is unknown", "allowed: kafka_topics"]),
        ({"replicate": {"a": {"kafka_topc": "x"}}}, ["replicate.a.kafka_topc", "`kafka_topic`"]),
        ({"replicate": {"A": {"kafka_topic": "x"}}}, ["replicate"]),
        ({"job": {"parallelism": "two"}}, ["$.job.parallelism", "'two'"]),
        ({"job": {"parallelism": 0}}, [">= 1", "$.job.parallelism", "the value is 0"]),
        ({"archive": {"path": "s3://bucket/x"}}, ["$.archive.path", "s3://bucket/x"]),
        ({"source": {"kafka_topics": []}}, ["source has nothing to read"]),
        ({"source": {"kafka_topics": ["a", "a"]}}, ["source has a twice"]),
        (
            {"source": {"kinesis_streams": ["s"]}},
            ["kinesis_streams has s,", "kinesis.region is empty"],
        ),
        (
            {"source": {"kafka_cluster": "x"}},
            ["source.kafka_cluster is x", "clusters has only: none"],
        ),
        ({"source": {"kinesis_start": "at_timestamp"}}, ["at_timestamp", "is empty"]),
        (
            {"source": {"kinesis_start": "at_timestamp", "kinesis_start_timestamp": "2018"}},
            ["kinesis_start_timestamp is 2018", "ISO-8601"],
        ),
        ({"source": {"kinesis_consumer": "me"}}, ["is polling", "kinesis_consumer is me"]),
        ({"kinesis": {"endpoint": "http://far:4568"}}, ["http://far:4568", "127.0.0.1 only"]),
        ({"kafka": {"bootstrap_servers": "far:9092"}}, ["has far:9092", "allow_plaintext to true"]),
        ({"kafka": {"security": "scram"}}, ["kafka.security is scram", "password is empty"]),
        ({"kafka": {"password": "x"}}, ["kafka.security is plaintext", "password is set"]),
        ({"kafka": {"ca_file": "/ca.pem"}}, ["security is plaintext", "ca_file is /ca.pem"]),
        ({"dead_letters": {"kafka_topic": "trips"}}, ["is trips", "circulate forever"]),
        ({"dead_letters": {"path": "s3a://bucket/d"}}, ["kafka_topic dead", "path s3a://bucket/d"]),
        ({"dead_letters": {"kafka_topic": ""}}, ["set one of", "kinesis_stream"]),
        (
            {
                "dead_letters": {
                    "kafka_topic": "",
                    "path": "s3a://bucket/d",
                    "large_path": "s3a://bucket/l",
                }
            },
            ["path s3a://bucket/d", "large_path s3a://bucket/l"],
        ),
        (
            {"kinesis": {"region": "eu-west-1"}, "archive": {"path": "", "kinesis_stream": "s"}},
            ["archive.kinesis_stream is s", "large_path is empty"],
        ),
        ({"dead_letters": {"head_bytes": 800_000}}, ["head_bytes is 800000", "700000"]),
        (
            {"replicate": {"a": {}}},
            ["replicate.a has no target; set one of kafka_topic, kinesis_stream"],
        ),
        ({"replicate": {"a": {"kafka_topic": "dead"}}}, ["dead_letters and replicate.a both"]),
        (
            {
                "replicate": {
                    "a": {"kafka_topic": "a", "transaction_prefix": "x"},
                    "b": {"kafka_topic": "b", "transaction_prefix": "x"},
                }
            },
            ["replicate.a and replicate.b", "same transactional prefix, x"],
        ),
        (
            {"replicate": {"a": {"kafka_topic": "a"}}, "job": {"checkpoint_seconds": 400}},
            ["transaction_timeout_seconds is 900", "every 400 s", "1200"],
        ),
        (
            {
                "kinesis": {"region": "eu-west-1"},
                "replicate": {"a": {"kinesis_stream": "a", "max_bytes": 20_000_000}},
            },
            ["replicate.a.max_bytes is 20000000", "10485184"],
        ),
        ({"index": {"url": "http://example.com:9200"}}, ["http://example.com:9200", "Use https"]),
        ({"dead_letters": {"redrive_key": "k" * 31}}, ["redrive_key has 31 characters", "32"]),
        ({"dead_letters": {"redrive_key": "k" * 1001}}, ["$.dead_letters.redrive_key"]),
        ({"index": {"auth": "basic"}}, ["auth is basic", "username or password is empty"]),
        ({"index": {"username": "me"}}, ["auth is none", "username or password is set"]),
        ({"index": {"auth": "sigv4"}}, ["auth is sigv4", "region is empty"]),
        (
            {"job": {"checkpoint_seconds": 60, "checkpoint_pause_seconds": 61}},
            ["checkpoint_pause_seconds is 61", "checkpoint_seconds is 60"],
        ),
        ({"index": {"retry_seconds": 400}}, ["retry_seconds is 400", "timeout_seconds is 300"]),
        ({"index": {"prefix": "_x"}}, ["$.index.prefix", "'_x'"]),
    ],
)
def test_a_mistake_is_told(changed: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        check(**changed)
    for word in ["test.yaml", *words]:
        assert word in str(caught.value)


ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/trips"
IRELAND = {"region": "eu-west-1"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"replicate": {"kafka_topic": "x"}}, ["$.replicate.kafka_topic", "the value is 'x'"]),
        (
            {"replicate": {"a": {"kafka_topic": "a"}, "b": {"kafka_topic": "b", "max_bytes": 0}}},
            ["$.replicate.b.max_bytes", "the value is 0"],
        ),
        ({"clusters": {"other": {}}}, ["$.clusters.other", "`bootstrap_servers`"]),
        (
            {"clusters": {"other": {"bootstrap_servers": "far:1, 127.0.0.1:1"}}},
            ["clusters.other.security is plaintext", "has far:1", "allow_plaintext to true"],
        ),
        (
            {"clusters": {"other": {"bootstrap_servers": "127.0.0.1:1", "username": "me"}}},
            ["clusters.other.security is plaintext", "use scram"],
        ),
        (
            {"replicate": {"a": {"kafka_topic": "a", "kafka_cluster": "x"}}},
            ["replicate.a.kafka_cluster is x", "add clusters.x"],
        ),
        ({"kinesis": {"endpoint": "127.0.0.1:4568"}}, ["127.0.0.1:4568", "Use https://host"]),
        (
            {"kinesis": IRELAND, "source": {"kinesis_streams": ["trips", ARN]}},
            ["source has trips twice", "list it once"],
        ),
        (
            {"source": {"kinesis_reader": "enhanced_fan_out"}},
            ["enhanced_fan_out and kinesis_consumer is empty", "required with enhanced_fan_out"],
        ),
        (
            {"source": {"kinesis_start_timestamp": "2018-01-01T00:00:00Z"}},
            ["kinesis_start is trim_horizon", "is 2018-01-01T00:00:00Z", "not allowed otherwise"],
        ),
        (
            {"source": {"kinesis_streams": [ARN]}, "replicate": {"a": {"kinesis_stream": ARN}}},
            ["replicate.a.kinesis_stream is trips", "circulate forever"],
        ),
        (
            {
                "clusters": {"same": {"bootstrap_servers": "127.0.0.1:9092"}},
                "replicate": {"a": {"kafka_topic": "trips", "kafka_cluster": "same"}},
            },
            ["replicate.a.kafka_topic is trips", "circulate forever"],
        ),
        (
            {
                "archive": {"path": "", "kinesis_stream": ARN, "large_path": "s3a://bucket/l"}
                | {"max_bytes": 750_000}
            },
            ["archive.max_bytes is 750000", "740000"],
        ),
        (
            {"lake": {"path": "s3a://bucket"}},
            ["lake.path is s3a://bucket/", "archive.path is s3a://bucket/archive/", "contain"],
        ),
        (
            {"dead_letters": {"large_path": "s3a://bucket/archive/"}},
            ["archive.path is s3a://bucket/archive/", "dead_letters.large_path is"],
        ),
    ],
)
def test_a_mistake_at_the_edges_is_told(changed: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        check(**changed)
    for word in ["test.yaml", *words]:
        assert word in str(caught.value)


def test_a_topic_needs_a_cluster() -> None:
    with pytest.raises(UserError, match="source has a Kafka topic, but kafka.bootstrap_servers"):
        check("kafka")


def test_a_stream_of_another_region_is_another_stream() -> None:
    config = check(
        kinesis=IRELAND,
        source={"kinesis_streams": ["trips"]},
        replicate={"far": {"kinesis_stream": ARN}},
    )
    assert config.replicate["far"].kinesis_stream == ARN


def test_a_wrong_secret_of_an_entry_is_not_printed() -> None:
    with pytest.raises(UserError) as caught:
        check(clusters={"other": {"bootstrap_servers": "127.0.0.1:1", "password": 12345}})
    assert "$.clusters.other.password" in str(caught.value)
    assert "12345" not in str(caught.value)


def test_at_least_one_sink_must_remain() -> None:
    with pytest.raises(UserError, match="there is no sink"):
        check("archive", "index")


def test_without_archive_a_bad_event_needs_dead_letters() -> None:
    check("dead_letters")
    with pytest.raises(UserError, match="a rejected record would be lost"):
        check("dead_letters", "archive")
    with pytest.raises(UserError, match="replicate without dead_letters"):
        check("dead_letters", replicate={"a": {"kafka_topic": "a"}})


def test_references_to_environment_and_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("from-file\n")
    monkeypatch.setenv("BROKERS", "127.0.0.1:9093")
    config = check(
        kafka={"bootstrap_servers": "${env:BROKERS}"},
        index={
            "url": "https://${env:NOT_SET:-search.example}:9200",
            "auth": "basic",
            "username": "etl",
            "password": f"${{file:{secret}}}",
        },
    )
    assert config.kafka is not None
    assert config.kafka.bootstrap_servers == "127.0.0.1:9093"
    assert config.index is not None
    assert config.index.url == "https://search.example:9200"
    assert config.index.password == "from-file"
    assert "from-file" not in json.dumps(load_config.masked(config))


def test_a_reference_that_leads_nowhere_is_told() -> None:
    with pytest.raises(UserError, match="environment variable NOT_SET is not set"):
        check(kafka={"bootstrap_servers": "${env:NOT_SET}"})
    with pytest.raises(UserError, match="/not/there: cannot be read"):
        check(kafka={"bootstrap_servers": "${file:/not/there}"})


def test_a_wrong_secret_is_not_printed() -> None:
    with pytest.raises(UserError) as caught:
        check(index={"password": 12345})
    assert "12345" not in str(caught.value)


def test_http_beyond_loopback_is_taken_when_it_is_allowed() -> None:
    kinesis = {"endpoint": "http://localstack:4566", "allow_plaintext": True}
    index = {"url": "http://opensearch:9200", "allow_plaintext": True}
    check(kinesis=kinesis, index=index)
    with pytest.raises(UserError, match="ftp://far; http is allowed for 127.0.0.1 only"):
        check(kinesis={**kinesis, "endpoint": "ftp://far"})


def test_property_groups_give_the_same_configuration(tmp_path: Path) -> None:
    groups = [
        {"PropertyGroupId": "kinesis.analytics.flink.run.options", "PropertyMap": {"python": "m"}},
        {
            "PropertyGroupId": "kafka",
            "PropertyMap": {"bootstrap_servers": "b:9092", "allow_plaintext": "true"},
        },
        {"PropertyGroupId": "source", "PropertyMap": {"kafka_topics": "trips, more"}},
        {"PropertyGroupId": "clusters.far", "PropertyMap": {"bootstrap_servers": "127.0.0.1:1"}},
        {
            "PropertyGroupId": "replicate.airport",
            "PropertyMap": {
                "kafka_topic": "airport",
                "kafka_cluster": "far",
                "event_types": "trip, fhv_trip",
                "max_bytes": "5000",
            },
        },
        {
            "PropertyGroupId": "lake",
            "PropertyMap": {"path": "s3a://bucket/l", "file_seconds": "900"},
        },
        {
            "PropertyGroupId": "dead_letters",
            "PropertyMap": {"kafka_topic": "dead", "redrive_key": "1" * 64},
        },
        {"PropertyGroupId": "job", "PropertyMap": {"bundle_records": "500"}},
    ]
    path = tmp_path / "application_properties.json"
    path.write_text(json.dumps(groups))
    config = load_config.load_property_groups(path)
    assert config.source.kafka_topics == ("trips", "more")
    assert config.lake is not None and config.lake.file_seconds == 900
    assert config.job.bundle_records == 500
    assert config.redrive_key == "1" * 64
    airport = config.replicate["airport"]
    assert (airport.event_types, airport.max_bytes) == (("trip", "fhv_trip"), 5000)
    assert config.cluster(airport.kafka_cluster).bootstrap_servers == "127.0.0.1:1"


def test_secrets_of_entries_are_masked() -> None:
    far = {"bootstrap_servers": "b:1", "security": "scram", "username": "u", "password": "hidden"}
    config = check(clusters={"far": far})
    shown = load_config.masked(config)
    assert shown["clusters"]["far"]["password"] == "********"
    assert "hidden" not in json.dumps(shown)


def test_the_redrive_key_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "hidden-" * 5)
    config = check(dead_letters={"redrive_key": "${env:KEY}"})
    assert config.redrive_key == "hidden-" * 5
    assert load_config.masked(config)["dead_letters"]["redrive_key"] == "********"
    assert "hidden" not in repr(config)
    assert check(dead_letters={"redrive_key": "${env:NO_SUCH:-}"}).redrive_key == ""
    assert check("dead_letters").redrive_key == ""
    for wrong in ("short-secret", 12345678, "${KEY}-secret", "secret\n" * 6, ["secret"] * 9):
        with pytest.raises(UserError, match="redrive_key") as caught:
            check(dead_letters={"redrive_key": wrong})
        assert "secret" not in str(caught.value) and "12345678" not in str(caught.value)


@pytest.mark.parametrize("name", ["minimal", "local", "reference"])
def test_the_shipped_files_are_whole(name: str) -> None:
    load_config.load(ROOT / "conf" / f"{name}.yaml")


def test_the_reference_is_written_from_the_model() -> None:
    text = (ROOT / "conf" / "reference.yaml").read_text()
    assert text == reference.config_reference()


def test_the_reference_shows_the_defaults() -> None:
    shown = load_config.load(ROOT / "conf" / "reference.yaml")
    least = check("archive")
    for section in ("decode", "job"):
        assert getattr(shown, section) == getattr(least, section)


def test_a_file_that_is_not_there_or_not_yaml(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_config.load(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [")
    with pytest.raises(UserError, match="is not YAML: line 1, column 5"):
        load_config.load(bad)
    bad.write_text("just text")
    with pytest.raises(UserError, match="must contain sections"):
        load_config.load(bad)


def test_relative_paths_are_those_of_the_files_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "job"
    (folder / "own").mkdir(parents=True)
    text = {
        "kafka": {"bootstrap_servers": "h:9092", "security": "tls", "ca_file": "ca.pem"},
        "clusters": {
            "far": {"bootstrap_servers": "h:9092", "security": "tls", "ca_file": "/f.pem"}
        },
        "source": {"kafka_topics": ["a"]},
        "lake": {"path": "s3a://bucket/lake"},
        "dead_letters": {"path": "s3a://bucket/dead", "kafka_cluster": ""},
        "decode": {"schemas": "own"},
    }
    (folder / "my.yaml").write_text(json.dumps(text))
    config = load_config.load(Path("job/my.yaml"), {})
    assert config.decode.schemas == str(folder / "own")
    assert config.kafka and config.kafka.ca_file == str(folder / "ca.pem")
    assert config.clusters["far"].ca_file == "/f.pem"
    del text["decode"]
    (folder / "my.yaml").write_text(json.dumps(text))
    assert load_config.load(Path("job/my.yaml"), {}).decode.schemas == "schemas", "the shipped ones"


def test_all_mistakes_of_a_file_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TYPED", "oldest")
    wrong = {
        "kafka": {"bootstrap_servers": "b:1", "sercurity": "tls"},
        "clusters": {"other": {"bootstrap_servers": 7, "password": "${env:NOT_SET}"}},
        "sauce": {},
        "source": {"kafka_topics": "trips", "kafka_start": "${env:TYPED}"},
        "lake": {"path": "s3://bucket/lake"},
        "job": {"checkpoint_seconds": "10s"},
    }
    with pytest.raises(UserError) as caught:
        load_config.check(wrong, where="test")
    first, *told = str(caught.value).splitlines()
    assert first == "test: 8 problems:"
    for line, parts in zip(
        told,
        (
            ("key kafka.sercurity is unknown; did you mean `security`?",),
            ("clusters.other.password: the environment variable NOT_SET is not set",),
            ("section sauce is unknown; did you mean `source`?",),
            ("$.clusters.other.bootstrap_servers", "the value is 7. Put it in quotes."),
            ("$.source.kafka_topics", "the value is 'trips'. Write a list, such as [a, b]."),
            ("earliest, latest, committed", "the value is '${env:TYPED}'."),
            ("$.lake.path", "the value is 's3://bucket/lake'. Write s3a:// in place of s3://."),
            ("checkpoint_seconds", "'10s'. Write the seconds as a number, without a unit: 10."),
        ),
        strict=True,
    ):
        assert line.startswith("- ") and all(part in line for part in parts), line


def test_all_contradictions_are_told_at_once() -> None:
    wrong = {
        "kafka": {"bootstrap_servers": "b:1", "security": "tls"},
        "source": {"kafka_topics": ["t", "t"]},
        "archive": {"kafka_topic": "t"},
    }
    with pytest.raises(UserError, match="test: 2 problems:") as caught:
        load_config.check(wrong, where="test")
    assert "source has t twice" in str(caught.value)
    assert "which the source reads" in str(caught.value)


def test_very_many_mistakes_are_counted() -> None:
    with pytest.raises(UserError) as caught:
        load_config.check({f"section_{n}": {} for n in range(1000)}, where="test")
    message = str(caught.value)
    assert message.startswith("test: 1,001 problems:") and len(message) < 1700


def test_a_mistyped_file_is_guessed(tmp_path: Path) -> None:
    (tmp_path / "local.yaml").write_text("")
    with pytest.raises(UserError, match=rf"did you mean {tmp_path}/local\.yaml\?"):
        load_config.load(tmp_path / "locl.yaml")
