"""What an estimate counts is what the template makes, and what was measured."""

from __future__ import annotations

import base64
import json

import pytest

from dev.bench import file_sizes
from dev.templates.signals import signal
from pipeline.collect.columns import letter_columns
from pipeline.config.model import Source
from pipeline.deploy.cost.measured import figure
from pipeline.deploy.cost.stack import (
    ENCRYPTED_STREAMS,
    LETTER_RETENTION_HOURS,
    OLD_VERSION_DAYS,
    PARAMETERS,
    QUERIED,
    Stack,
)
from pipeline.deploy.monitoring.alarms import ALARMS
from pipeline.sinks.claim_check import POINTER
from tests.deploy.costs import PROVISIONED
from tests.deploy.stacks import EVERYTHING, ROOT, properties, stack, template

KAFKA = {name: EVERYTHING[name] for name in ("MskClusterName", "MskBootstrapServers", "VpcId")}
VARIANTS = {
    "default": {},
    "provisioned": PROVISIONED,
    "existing": {"SourceStreamMode": "EXISTING"},
    "msk": {"Source": "msk"},
    "both": {"Source": "both"},
    "no index": {"OpenSearch": "none"},
    "domain of others": {"OpenSearch": "existing"},
    "operator metrics": {"MetricsLevel": "OPERATOR"},
    "minimum": {"MinimumRecordsPerSecond": "10"},
    "tools": {"ToolsRepository": "streaming-etl"},
    "key": {"KmsKeyArn": EVERYTHING["KmsKeyArn"]},
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_is_that_of_the_template(name: str) -> None:
    theirs, ours = template()["Parameters"][name], PARAMETERS[name]
    assert ours.default == str(theirs["Default"])
    assert ours.allowed == tuple(map(str, theirs.get("AllowedValues", ())))
    assert (ours.low, ours.high) == (theirs.get("MinValue"), theirs.get("MaxValue"))
    assert ours.pattern == theirs.get("AllowedPattern", "")


def test_its_defaults_are_allowed() -> None:
    Stack({name: parameter.default for name, parameter in PARAMETERS.items()})


@pytest.mark.parametrize("parameters", VARIANTS.values(), ids=VARIANTS)
def test_it_makes_what_is_counted(parameters: dict[str, str]) -> None:
    ours, theirs = Stack(parameters), stack(**KAFKA, **parameters)
    assert ours.conditions == {name: theirs.holds(name) for name in ours.conditions}
    resources = list(theirs.resources().values())
    alarms = [each["Properties"] for each in resources if each["Type"] == "AWS::CloudWatch::Alarm"]
    read = [metric for alarm in alarms for metric in alarm.get("Metrics", [{"MetricStat": 0}])]
    queried = sum("SELECT" in str(metric.get("Expression")) for metric in read)
    direct = sum("MetricStat" in metric for metric in read)
    assert ours.alarm_metrics() == (direct, queried)
    filters = [each for each in resources if each["Type"] == "AWS::Logs::MetricFilter"]
    made = [metric for each in filters for metric in each["Properties"]["MetricTransformations"]]
    derived = {(metric["MetricNamespace"], metric["MetricName"]) for metric in made}
    assert ours.log_metrics() == len(derived)
    kinds = [each["Type"] for each in resources]
    assert kinds.count("AWS::CloudWatch::Dashboard") == 1
    streams = [each for each in resources if each["Type"] == "AWS::Kinesis::Stream"]
    makes = ours.has("MakesStream")
    assert len(streams) == 1 + makes == (ENCRYPTED_STREAMS if makes else 1)
    assert all(
        each["Properties"]["StreamEncryption"]["EncryptionType"] == "KMS" for each in streams
    )
    assert kinds.count("AWS::OpenSearchService::Domain") == ours.has("MakesDomain")


def test_what_no_parameter_changes() -> None:
    made = stack()
    letters = properties(made, "DeadLetterStream")
    assert letters["RetentionPeriodHours"] == LETTER_RETENTION_HOURS
    assert letters["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    bucket = properties(made, "DataBucket")
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert {"NoncurrentDays": OLD_VERSION_DAYS} in [
        rule.get("NoncurrentVersionExpiration") for rule in rules
    ]
    expiring = [rule["Prefix"] for rule in rules if "ExpirationInDays" in rule]
    assert expiring == ["archive/"]  # so the lake grows
    assert bucket["MetricsConfigurations"] == [{"Id": "all"}]
    assert bucket["NotificationConfiguration"]["EventBridgeConfiguration"] == {
        "EventBridgeEnabled": True
    }
    domain = properties(made, "Domain")
    assert domain["EBSOptions"]["VolumeType"] == "gp3"
    assert "DedicatedMasterEnabled" not in domain["ClusterConfig"]


def test_the_job_s_settings_are_those_that_are_counted() -> None:
    application = properties(stack(), "Application")["ApplicationConfiguration"]
    groups = {
        group["PropertyGroupId"]: group["PropertyMap"]
        for group in application["EnvironmentProperties"]["PropertyGroups"]
    }
    assert {*groups["lake"], *groups["archive"]} == {"path"}  # defaults for the rest
    assert groups["index"]["replicas"] == "1"  # two copies of each document
    assert "kinesis_stream" in groups["dead_letters"]


def test_queried_signals_are_those_of_alarms() -> None:
    read = {name for alarm in ALARMS for name in (alarm.signal, alarm.per) if name}
    assert {name for name in read if not signal(name).exact} == QUERIED


def test_the_speed_is_that_of_the_kept_bench() -> None:
    kept = json.loads((ROOT / "docs" / "benchmarks" / "lake.json").read_text())
    cores = kept["machine"]["cores"]
    assert figure("events_per_core") == kept["ours_whole_eps"] // cores
    assert figure("events_per_core_lake_only") == kept["ours_eps"] // cores
    assert figure("event_bytes") == kept["event_bytes"]


def test_a_file_of_one_row_is_as_large_as_measured() -> None:
    _, lake = file_sizes.lake(1)
    _, archive = file_sizes.archive(1)
    assert lake == pytest.approx(figure("lake_file_bytes") + figure("lake_row_bytes"), rel=0.1)
    assert archive == pytest.approx(
        figure("archive_file_bytes") + figure("archive_row_bytes"), rel=0.2
    )


def test_a_dead_letter_is_as_large_as_assumed() -> None:
    raw = b"x" * 415
    values = {
        "raw": base64.b64encode(raw).decode(), "header_names": [], "header_values": [],
        "step": "decode", "reason": "missing_field", "detail": "field pickup_datetime is missing",
        "stream": "streaming-etl-trips", "shard": "shardId-000000000000",
        "sequence_number": "4" * 56, "arrival_time": "2026-11-30 20:00:00.000Z",
        "event_type": "trip", "schema_version": 3, "raw_bytes": len(raw),
    }  # fmt: skip
    names = [*letter_columns(Source(kinesis_streams=("streaming-etl-trips",))), *POINTER]
    assert set(values) <= set(names)
    letter = json.dumps({name: values.get(name) for name in names}, separators=(",", ":"))
    fields = len(letter) - len(str(values["raw"]))
    assert fields == pytest.approx(figure("letter_fields_bytes"), rel=0.1)
