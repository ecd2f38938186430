"""The template with the rehearsal's parameters is what CloudFormation and the job would take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from dev.rehearse.account import PARAMETERS, Account, account, refuse_wrong
from pipeline.config import load as load_config
from pipeline.config.model import PLATFORM_KEYS
from pipeline.deploy.monitoring.alarms import ALARMS, alarm
from tests.deploy.stacks import ROOT, template

SERVERS = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "KINESIS_ENDPOINT": "http://127.0.0.1:4568",
    "OPENSEARCH_URL": "http://127.0.0.1:9200",
    "AWS_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def made() -> Account:
    return account(ROOT, SERVERS)


def test_names_are_those_that_the_template_makes(made: Account) -> None:
    assert made.bucket == "streaming-etl-000000000000-us-east-1"
    assert list(made.streams) == ["streaming-etl-trips", "streaming-etl-dead-letters"]
    assert made.streams["streaming-etl-trips"]["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert (made.source_stream, made.topic) == ("streaming-etl-trips", "trips")


def test_the_job_takes_the_groups(made: Account, tmp_path: Path) -> None:
    path = tmp_path / "application_properties.json"
    path.write_text(json.dumps(made.groups()))
    config = load_config.load_property_groups(path)
    assert config.source.kafka_topics == ("trips",)
    arn = "arn:aws:kinesis:us-east-1:000000000000:stream/streaming-etl-trips"
    assert config.source.kinesis_streams == (arn,)
    assert config.lake
    assert config.lake.path == f"s3a://{made.bucket}/lake"
    assert config.index
    assert (config.index.url, config.index.auth, config.index.shards) == (
        "http://127.0.0.1:9200", "none", 3,
    )  # fmt: skip
    assert not {group["PropertyGroupId"] for group in made.groups()} & set(PLATFORM_KEYS)


def test_what_is_not_the_template_s_is_told(made: Account) -> None:
    told = made.changes()
    assert "kafka.security: plaintext (template: msk_iam)" in told
    assert "index.auth: none (template: sigv4)" in told
    assert "index.retry_seconds: 8 (template: (none))" in told
    own = {
        (group["PropertyGroupId"], key): text
        for group in made._own_groups()
        for key, text in group["PropertyMap"].items()
    }
    here = {
        (group["PropertyGroupId"], key): text
        for group in made.groups()
        for key, text in group["PropertyMap"].items()
    }
    differing = {place for place in {*own, *here} if own.get(place) != here.get(place)}
    assert {f"{group}.{key}" for group, key in differing} == {
        line.partition(": ")[0] for line in told
    }


def test_checkpoints_and_parallelism_are_the_application_s(made: Account) -> None:
    assert made.platform_settings() == {
        "parallelism.default": "2",
        "execution.checkpointing.interval": "10000 ms",
        "execution.checkpointing.min-pause": "5000 ms",
        "execution.checkpointing.dir": f"s3a://{made.bucket}/checkpoints",
    }


def test_thresholds_are_the_parameters(made: Account) -> None:
    assert made.alarm(alarm("EventLag")).threshold == 3000
    assert made.alarm(alarm("BehindRetention")).threshold == 302_400_000
    assert made.alarm(alarm("Heap")) is alarm("Heap")


def test_every_alarm_s_condition_holds(made: Account) -> None:
    assert [each.name for each in ALARMS if each.when and not made.stack.holds(each.when)] == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"LagMilliseconds": "10"}, "LagMilliseconds is '10'; allowed: 1000 to inf"),
        ({"Source": "kafka"}, "Source is 'kafka'; allowed: kinesis, msk, both"),
        ({"PackageKey": "a.jar"}, "PackageKey is 'a.jar'; allowed: .*zip"),
        ({"Sauce": "kafka"}, "has no parameter Sauce"),
    ],
)
def test_parameters_keep_to_the_template(changed: dict[str, Any], told: str) -> None:
    refuse_wrong(template(), PARAMETERS)
    with pytest.raises(UserError, match=told):
        refuse_wrong(template(), {**PARAMETERS, **changed})
