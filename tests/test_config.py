"""The configuration: every mistake is told with the key, the value and what is allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import load_config, reference
from pipeline.config import Config
from pipeline.errors import UserError

ROOT = Path(__file__).parent.parent
BASE: dict[str, dict[str, Any]] = {
    "source": {"kafka_bootstrap_servers": "127.0.0.1:9092", "kafka_topics": ["trips"]},
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
        ({"source": {"zzz": 1}}, ["source.zzz is unknown", "allowed: kafka_bootstrap_servers"]),
        ({"job": {"parallelism": "two"}}, ["$.job.parallelism", "'two'"]),
        ({"job": {"parallelism": 0}}, [">= 1", "$.job.parallelism", "the value is 0"]),
        ({"archive": {"path": "s3://bucket/x"}}, ["$.archive.path", "s3://bucket/x"]),
        ({"source": {"kafka_topics": []}}, ["source.kafka_topics is empty"]),
        ({"dead_letters": {"kafka_topic": "trips"}}, ["is trips", "go round for ever"]),
        ({"dead_letters": {"path": "s3a://b/d"}}, ["kafka_topic dead", "path s3a://b/d"]),
        ({"dead_letters": {"kafka_topic": ""}}, ["needs kafka_topic or path"]),
        ({"index": {"url": "http://example.com:9200"}}, ["http://example.com:9200", "use https"]),
        ({"index": {"auth": "basic"}}, ["auth is basic", "username or password is empty"]),
        ({"index": {"username": "me"}}, ["auth is none", "username or password is set"]),
        ({"index": {"auth": "sigv4"}}, ["auth is sigv4", "region is empty"]),
        ({"index": {"retry_seconds": 400}}, ["retry_seconds is 400", "timeout_seconds is 300"]),
        ({"index": {"prefix": "_x"}}, ["$.index.prefix", "'_x'"]),
    ],
)
def test_a_mistake_is_told(changed: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        check(**changed)
    for word in ["test.yaml", *words]:
        assert word in str(caught.value)


def test_at_least_one_sink_must_remain() -> None:
    with pytest.raises(UserError, match="there is no sink"):
        check("archive", "index")


def test_without_archive_a_bad_event_needs_dead_letters() -> None:
    check("dead_letters")
    with pytest.raises(UserError, match="a bad event would be lost"):
        check("dead_letters", "archive")


def test_references_to_environment_and_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("from-file\n")
    monkeypatch.setenv("BROKERS", "10.0.0.1:9092")
    config = check(
        source={"kafka_bootstrap_servers": "${env:BROKERS}"},
        index={
            "url": "https://${env:NOT_SET:-search.example}:9200",
            "auth": "basic",
            "username": "etl",
            "password": f"${{file:{secret}}}",
        },
    )
    assert config.source.kafka_bootstrap_servers == "10.0.0.1:9092"
    assert config.index is not None
    assert config.index.url == "https://search.example:9200"
    assert config.index.password == "from-file"
    assert "from-file" not in json.dumps(load_config.masked(config))


def test_a_reference_that_leads_nowhere_is_told() -> None:
    with pytest.raises(UserError, match="environment variable NOT_SET is not set"):
        check(source={"kafka_bootstrap_servers": "${env:NOT_SET}"})
    with pytest.raises(UserError, match="/not/there cannot be read"):
        check(source={"kafka_bootstrap_servers": "${file:/not/there}"})


def test_a_wrong_secret_is_not_printed() -> None:
    with pytest.raises(UserError) as caught:
        check(index={"password": 12345})
    assert "12345" not in str(caught.value)


def test_property_groups_give_the_same_configuration(tmp_path: Path) -> None:
    groups = [
        {"PropertyGroupId": "kinesis.analytics.flink.run.options", "PropertyMap": {"python": "m"}},
        {
            "PropertyGroupId": "source",
            "PropertyMap": {"kafka_bootstrap_servers": "b:9092", "kafka_topics": "trips, more"},
        },
        {"PropertyGroupId": "lake", "PropertyMap": {"path": "s3a://b/l", "dictionary": "true"}},
        {"PropertyGroupId": "dead_letters", "PropertyMap": {"kafka_topic": "dead"}},
        {"PropertyGroupId": "job", "PropertyMap": {"bundle_records": "500"}},
    ]
    path = tmp_path / "application_properties.json"
    path.write_text(json.dumps(groups))
    config = load_config.load_property_groups(path)
    assert config.source.kafka_topics == ("trips", "more")
    assert config.lake is not None and config.lake.dictionary is True
    assert config.job.bundle_records == 500


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
    with pytest.raises(UserError, match="is not YAML"):
        load_config.load(bad)
    bad.write_text("just text")
    with pytest.raises(UserError, match="must hold sections"):
        load_config.load(bad)
