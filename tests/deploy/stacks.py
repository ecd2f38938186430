"""The template with sample parameters, as the tests look at it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from dev.rehearse.intrinsics import Stack, read
from dev.templates.derived import TEMPLATE
from tests.deploy.permissions import (
    BUCKET,
    LETTERS,
    LOGS,
    REDRIVE_KEY,
    SOURCE,
    SOURCE_KEY,
    TOOLS_LOGS,
)

ROOT = Path(__file__).parents[2]
_BUCKET_NAME = BUCKET.rpartition(":")[2]
_TOOLS = ("Reconcile", "Redrive", "Compact", "Replay")
_ATTRIBUTES = {
    "DataBucket": _BUCKET_NAME,
    "DataBucket.Arn": BUCKET,
    "SourceStream.Arn": SOURCE,
    "DeadLetterStream.Arn": LETTERS,
    "Domain.DomainEndpoint": "search-streaming-etl-x.eu-west-1.es.amazonaws.com",
    "Logs.Arn": LOGS,
    "ToolsLogs.Arn": TOOLS_LOGS,
    "ToolsCluster.Arn": "ToolsCluster.Arn",
    **{
        f"{role}Role.Arn": f"{role}Role.Arn"
        for role in ("Application", "ToolsExecution", "Schedule", *_TOOLS)
    },
}
EVERYTHING = {
    "Source": "both",
    "MskClusterName": "events",
    "MskBootstrapServers": "b-1.events.x1.c2.kafka.eu-west-1.amazonaws.com:9098",
    "MskTopics": "trips,more-trips",
    "RedriveKeySecret": REDRIVE_KEY,
    "VpcId": "vpc-12345678",
    "SubnetIds": "subnet-1,subnet-2,subnet-3",
    "SecurityGroupIds": "sg-12345678",
    "RouteTableIds": "rtb-1",
    "PrivateEndpoints": "true",
    "SourceKeyArn": SOURCE_KEY,
    "KmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/1234",
    "ToolsRepository": "streaming-etl",
    "MetricsLevel": "OPERATOR",
    "MinimumRecordsPerSecond": "10",
    "AlarmEmail": "someone@example.org",
}


@cache
def template() -> dict[str, Any]:
    """The template as it is in the repository."""
    return read(ROOT / TEMPLATE)


def stack(**parameters: str) -> Stack:
    """The template with these parameters and defaults for the rest."""
    return Stack(template(), {"PackageBucket": "packages", **parameters}, _ATTRIBUTES)


def properties(made: Stack, name: str) -> dict[str, Any]:
    """The properties of one resource, resolved."""
    found: dict[str, Any] = made.resources()[name]["Properties"]
    return found
