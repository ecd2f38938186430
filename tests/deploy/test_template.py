"""The template: clean, equal to what it is derived from, and accepted by our own loader."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.errors import UserError
from dev.rehearse.intrinsics import Stack
from pipeline.config.load import check, load_property_groups
from pipeline.config.model import Config
from pipeline.deploy.monitoring.alarms import ALARMS, Alarm, alarm
from pipeline.deploy.package.build import RUN_OPTIONS
from pipeline.deploy.templates.derived import BOARD, TEMPLATE, derived_files
from pipeline.events.event_types import load
from tests.deploy.stacks import EVERYTHING, ROOT, properties, stack, template

VARIANTS = {
    "defaults": {},
    "everything": EVERYTHING,
    "msk": {**EVERYTHING, "Source": "msk"},
    "own stream and domain": {
        "SourceStreamMode": "EXISTING",
        "OpenSearch": "existing",
        "ExistingDomainUrl": "https://search.example.org",
    },
    "no index": {"OpenSearch": "none"},
}


def _groups(made: Stack) -> list[dict[str, Any]]:
    application = properties(made, "Application")["ApplicationConfiguration"]
    found: list[dict[str, Any]] = application["EnvironmentProperties"]["PropertyGroups"]
    return found


def _loaded(made: Stack, folder: Path) -> Config:
    path = folder / "application_properties.json"
    path.write_text(json.dumps(_groups(made)))
    return load_property_groups(path)


def test_cfn_lint_is_content() -> None:
    lint = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run(
        [str(lint), str(ROOT / TEMPLATE)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", derived_files(ROOT, load(ROOT / "schemas")).items(), ids=str)
def test_what_is_derived_is_up_to_date(path: tuple[Path, str]) -> None:
    name, text = path
    assert (ROOT / name).read_text(encoding="utf-8") == text, "streaming-etl template --write"


def test_missing_markers_are_reported(tmp_path: Path) -> None:
    (tmp_path / TEMPLATE).parent.mkdir(parents=True)
    (tmp_path / TEMPLATE).write_text("Resources: {}\n")
    with pytest.raises(UserError, match="markers <tables> and </tables> are missing"):
        derived_files(tmp_path, load(ROOT / "schemas"))


@pytest.mark.parametrize("parameters", VARIANTS.values(), ids=VARIANTS)
def test_our_loader_takes_the_property_groups(parameters: dict[str, str], tmp_path: Path) -> None:
    config = _loaded(stack(**parameters), tmp_path)
    source = parameters.get("Source", "kinesis")
    assert bool(config.source.kinesis_streams) == (source != "msk")
    assert bool(config.source.kafka_topics) == (source != "kinesis")
    assert bool(config.index) == (parameters.get("OpenSearch") != "none")
    assert config.archive and config.lake and config.dead_letters


@pytest.mark.parametrize("parameters", VARIANTS.values(), ids=VARIANTS)
def test_the_tools_read_the_same_configuration(parameters: dict[str, str], tmp_path: Path) -> None:
    made = stack(**{**parameters, "ToolsRepository": "tools", "VpcId": "vpc-12345678"})
    (container,) = properties(made, "ToolsTask")["ContainerDefinitions"]
    (text,) = [each["Value"] for each in container["Environment"] if each["Name"] == "CONFIG"]
    given = yaml.safe_load(text)
    given["job"] = given.get("job", {}) | {"checkpoint_timeout_seconds": None}  # the platform's
    assert check(given, where="CONFIG") == _loaded(made, tmp_path)


def test_the_run_options_are_what_the_package_has() -> None:
    assert RUN_OPTIONS in _groups(stack())


def test_the_platform_owns_checkpoints_and_scaling() -> None:
    application = properties(stack(), "Application")
    flink = application["ApplicationConfiguration"]["FlinkApplicationConfiguration"]
    assert application["RuntimeEnvironment"] == "FLINK-1_20"
    assert all(each["ConfigurationType"] == "CUSTOM" for each in flink.values())
    assert flink["ParallelismConfiguration"]["AutoScalingEnabled"] == "true"
    snapshots = application["ApplicationConfiguration"]["ApplicationSnapshotConfiguration"]
    assert snapshots == {"SnapshotsEnabled": True}
    (job,) = [each for each in _groups(stack()) if each["PropertyGroupId"] == "job"]
    assert set(job["PropertyMap"]) == {"name"}


def test_the_log_is_there_before_it_is_named() -> None:
    resources = template()["Resources"]
    assert resources["Application"]["DependsOn"] == ["LogStream"]
    option = resources["ApplicationLogging"]["Properties"]["CloudWatchLoggingOption"]
    assert "${LogStream}" in option["LogStreamARN"]["Fn::Sub"]


def test_the_bucket_is_private_encrypted_and_versioned() -> None:
    bucket = properties(stack(), "DataBucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    keyed = properties(stack(**EVERYTHING), "DataBucket")["BucketEncryption"]
    (rule,) = keyed["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == EVERYTHING["KmsKeyArn"]


def test_unfinished_uploads_outlive_the_snapshots_that_are_kept() -> None:
    rules = template()["Resources"]["DataBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (days,) = [each["AbortIncompleteMultipartUpload"] for each in rules
               if "AbortIncompleteMultipartUpload" in each]  # fmt: skip
    assert days == {"DaysAfterInitiation": {"Ref": "AbortUploadDays"}}
    parameter = template()["Parameters"]["AbortUploadDays"]
    assert "keep snapshots for 7 days" in parameter["Description"]
    assert parameter["MinValue"] > 7 and parameter["Default"] >= parameter["MinValue"]


@pytest.mark.parametrize("name", template()["Parameters"])
def test_a_parameter_says_what_it_takes(name: str) -> None:
    found = template()["Parameters"][name]
    bounds = {"AllowedPattern", "AllowedValues", "MinValue"} & set(found)
    assert bounds or found["Type"] == "CommaDelimitedList"
    assert "Default" in found or name == "PackageBucket"
    assert "AllowedPattern" not in found or "ConstraintDescription" in found


@pytest.mark.parametrize(
    "each", [each for each in ALARMS if each.parameter], ids=lambda each: each.name
)
def test_a_parameters_default_is_the_alarms_threshold(each: Alarm) -> None:
    assert template()["Parameters"][each.parameter]["Default"] == each.threshold


def test_thresholds_that_follow_from_another_parameter() -> None:
    defaults = {name: each.get("Default") for name, each in template()["Parameters"].items()}
    assert defaults["RetentionMilliseconds"] * 2 == defaults["SourceRetentionHours"] * 3_600_000
    assert defaults["CheckpointSlowMilliseconds"] * 2 == defaults["CheckpointMilliseconds"]
    assert alarm("LakeStalled").period_seconds * 1000 == 3 * defaults["CheckpointMilliseconds"]
    assert defaults["DomainFreeMiB"] * 4 == defaults["DomainVolumeGiB"] * 1024


@pytest.mark.parametrize("parameters", VARIANTS.values(), ids=VARIANTS)
def test_conditions_leave_out_what_is_not_asked_for(parameters: dict[str, str]) -> None:
    found = stack(**parameters).resources()
    assert ("SourceStream" in found) == (
        parameters.get("Source") != "msk" and parameters.get("SourceStreamMode") != "EXISTING"
    )
    assert ("Domain" in found) == ("OpenSearch" not in parameters)
    assert ("ToolsTask" in found) == ("ToolsRepository" in parameters)
    assert ("AlarmKafkaOffline" in found) == (parameters.get("Source") in ("msk", "both"))


def test_the_board_for_grafana_is_json() -> None:
    found = json.loads((ROOT / BOARD).read_text())
    assert [each["id"] for each in found["panels"]] == list(range(1, len(found["panels"]) + 1))
