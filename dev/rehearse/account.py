"""The template as it would be deployed here: sample parameters, and local servers for services.

What the local servers cannot be told in the template's own words is changed, and every change is
listed, so that the report can say what was not the template's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from connectors.errors import UserError
from dev.rehearse.intrinsics import Stack, read
from dev.servers import kinesis
from dev.templates.derived import TEMPLATE
from pipeline.deploy.monitoring.alarms import Alarm

Groups: TypeAlias = list[dict[str, Any]]

PARAMETERS: Final[Mapping[str, str]] = {
    "PackageBucket": "packages",
    "PackageKey": "streaming-etl-1.zip",
    "Source": "both",
    "MskClusterName": "events",
    "MskTopics": "trips",
    "VpcId": "vpc-12345678",
    "SubnetIds": "subnet-1,subnet-2,subnet-3",
    "SecurityGroupIds": "sg-12345678",
    "ToolsRepository": "streaming-etl",
    "MetricsLevel": "OPERATOR",
    "CheckpointMilliseconds": "10000",
    "CheckpointSlowMilliseconds": "15000",
    "LagMilliseconds": "3000",
    "LagRecords": "100",
    "MinimumRecordsPerSecond": "1",
}
"""Such that faults of seconds are enough, and such that every alarm of the template is there."""
_MASKED: Final = "(none)"


@dataclass(frozen=True, slots=True)
class Account:
    """The template with the sample parameters; `servers` is the local stack's environment."""

    stack: Stack
    servers: Mapping[str, str]

    @property
    def bucket(self) -> str:
        """The bucket's name, as the template makes it up."""
        return str(self.properties("DataBucket")["BucketName"])

    @property
    def streams(self) -> dict[str, dict[str, Any]]:
        """The properties of the streams by their names."""
        streams = (self.properties(name) for name in ("SourceStream", "DeadLetterStream"))
        return {str(stream["Name"]): stream for stream in streams}

    @property
    def source_stream(self) -> str:
        """The stream that is read."""
        return str(self.stack.ref("SourceStreamName"))

    @property
    def topic(self) -> str:
        """The topic that is read; the template takes one that is there."""
        return str(self.stack.ref("MskTopics"))

    def properties(self, resource: str) -> dict[str, Any]:
        """The properties of one resource, with nothing left to resolve."""
        properties: dict[str, Any] = self.stack.resolve(
            self.stack.template["Resources"][resource]["Properties"]
        )
        return properties

    def alarm(self, declared: Alarm) -> Alarm:
        """An alarm with the threshold that the template gives it."""
        if not declared.parameter:
            return declared
        return replace(declared, threshold=float(self.stack.ref(declared.parameter)))

    def groups(self) -> Groups:
        """The property groups, the template's with the changes of `changes`."""
        groups = [
            {**group, "PropertyMap": dict(group["PropertyMap"])} for group in self._own_groups()
        ]
        here = _here(self.servers)
        for group in groups:
            changed = {**group["PropertyMap"], **here.get(group["PropertyGroupId"], {})}
            group["PropertyMap"] = {key: text for key, text in changed.items() if text is not None}
        return groups

    def changes(self) -> list[str]:
        """What is not the template's in the property groups: `group.key: here (template: its)`."""
        own = {group["PropertyGroupId"]: group["PropertyMap"] for group in self._own_groups()}
        return [
            f"{group}.{key}: {text or _MASKED} (template: {own[group].get(key, _MASKED)})"
            for group, keys in _here(self.servers).items()
            for key, text in keys.items()
        ]

    def platform_settings(self) -> dict[str, str]:
        """What the platform would make of the application's configuration, as Flink's settings."""
        settings = self._application()["FlinkApplicationConfiguration"]
        checkpoints = settings["CheckpointConfiguration"]
        return {
            "parallelism.default": str(settings["ParallelismConfiguration"]["Parallelism"]),
            "execution.checkpointing.interval": f"{checkpoints['CheckpointInterval']} ms",
            "execution.checkpointing.min-pause": f"{checkpoints['MinPauseBetweenCheckpoints']} ms",
            "execution.checkpointing.dir": f"s3a://{self.bucket}/checkpoints",
        }

    def _own_groups(self) -> Groups:
        groups: Groups = self._application()["EnvironmentProperties"]["PropertyGroups"]
        return groups

    def _application(self) -> dict[str, Any]:
        settings: dict[str, Any] = self.properties("Application")["ApplicationConfiguration"]
        return settings


def account(root: Path, servers: Mapping[str, str]) -> Account:
    """The template of that checkout, its parameters leading to these servers."""
    template = read(root / TEMPLATE)
    parameters = {
        **PARAMETERS,
        "MskBootstrapServers": servers["KAFKA_BOOTSTRAP_SERVERS"],
        "AWS::Region": servers["AWS_REGION"],
        "AWS::AccountId": kinesis.ACCOUNT,
    }
    refuse_wrong(template, parameters)
    bare = Account(Stack(template, parameters, {}), servers)
    attributes = {
        "DataBucket": bare.bucket,
        "DataBucket.Arn": f"arn:aws:s3:::{bare.bucket}",
        "SourceStream.Arn": _arn(bare, bare.source_stream),
        "DeadLetterStream.Arn": _arn(bare, f"{bare.stack.ref('ApplicationName')}-dead-letters"),
        "ApplicationRole.Arn": f"arn:aws:iam::{kinesis.ACCOUNT}:role/application",
        "Domain.DomainEndpoint": servers["OPENSEARCH_URL"].removeprefix("http://"),
    }
    return Account(Stack(template, parameters, attributes), servers)


def refuse_wrong(template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
    """Hold parameters to the template's own constraints, as CloudFormation would.

    Raises:
        UserError: the parameter, its value and what is allowed.
    """
    for name, value in parameters.items():
        if name.startswith("AWS::"):
            continue
        rule = template["Parameters"].get(name)
        if rule is None:
            raise UserError(f"{TEMPLATE}: has no parameter {name}; leave it out.")
        allowed = _allowed(rule, value)
        if allowed:
            raise UserError(f"{TEMPLATE}: parameter {name} is {value!r}; allowed: {allowed}.")


def _allowed(rule: Mapping[str, Any], value: str) -> str:
    """What the rule allows, where it does not allow the value; else nothing."""
    if "AllowedValues" in rule and value not in map(str, rule["AllowedValues"]):
        return ", ".join(map(str, rule["AllowedValues"]))
    if "AllowedPattern" in rule and not re.fullmatch(rule["AllowedPattern"], value):
        return str(rule["AllowedPattern"])
    if rule["Type"] != "Number":
        return ""
    least, most = rule.get("MinValue", float("-inf")), rule.get("MaxValue", float("inf"))
    return "" if least <= float(value) <= most else f"{least} to {most}"


def _arn(account: Account, stream: str) -> str:
    return f"arn:aws:kinesis:{account.servers['AWS_REGION']}:{kinesis.ACCOUNT}:stream/{stream}"


def _here(servers: Mapping[str, str]) -> dict[str, dict[str, str | None]]:
    """Values by group and key; None leaves a key out.

    The index gives up sooner than by default, or an outage would have to last minutes. Files are
    made within a checkpoint interval, so that one more covers everything.
    """
    return {
        "archive": {"file_seconds": "5"},
        "lake": {"file_seconds": "5"},
        "kinesis": {"endpoint": servers["KINESIS_ENDPOINT"]},
        "kafka": {"security": "plaintext"},
        "index": {
            "url": servers["OPENSEARCH_URL"],
            "auth": "none",
            "region": None,
            "timeout_seconds": "4",
            "retry_seconds": "8",
            "breaker_seconds": "1",
        },
    }
