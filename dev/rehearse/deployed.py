"""Deploy the template's known part to LocalStack, as `aws cloudformation deploy` does it: by way of
a bucket and a change set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from botocore.exceptions import WaiterError

from connectors import aws
from connectors.errors import UserError
from dev.rehearse.account import refuse_wrong
from dev.rehearse.cut import Cut, cut
from dev.rehearse.intrinsics import read
from dev.servers import s3
from dev.templates.derived import TEMPLATE

PARAMETERS: Final[Mapping[str, str]] = {
    "PackageBucket": "packages",
    "PackageKey": "streaming-etl-1.zip",
    "Source": "kinesis",
    "SourceStreamMode": "PROVISIONED",
    "SourceStreamShards": "4",
    "OpenSearch": "none",
}
"""Provisioned, because an on-demand stream has one shard only in LocalStack 4.9.2."""
NAMES: Final[Mapping[str, str]] = {
    "DATA_BUCKET": "Bucket",
    "SOURCE_STREAM": "SourceStreamOut",
    "DEAD_LETTER_STREAM": "DeadLetters",
}
"""What conf/localstack.yaml takes from the environment, and the outputs of the stack with it."""
_CHANGE_SET: Final = "first"
_OFTEN: Final = {"Delay": 1, "MaxAttempts": 180}


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stack: its outputs, its resources' physical ids by logical ones, and its template."""

    outputs: Mapping[str, str]
    resources: Mapping[str, str]
    part: Cut

    def environment(self) -> dict[str, str]:
        """Return the names of what the job uses, as environment variables."""
        return {variable: self.outputs[output] for variable, output in NAMES.items()}


def deploy(root: Path, servers: Mapping[str, str], name: str) -> Deployed:
    """Create the stack, wait at most three minutes for it, and return it.

    `servers` is the environment of the local servers; LocalStack is one of them.

    Raises:
        UserError: LocalStack refuses the template or a resource, with what it says.
    """
    template = read(root / TEMPLATE)
    parameters = {"ApplicationName": name, **PARAMETERS}
    refuse_wrong(template, parameters)
    part = cut(template, parameters)
    clouds = _client("cloudformation", servers)
    with aws.reported(f"deploy {TEMPLATE} to LocalStack"):
        url = _upload(part, servers, parameters["PackageBucket"])
        _create(clouds, name, url, parameters)
        (described,) = clouds.describe_stacks(StackName=name)["Stacks"]
        pages = clouds.get_paginator("list_stack_resources").paginate(StackName=name)
        made = [each for page in pages for each in page["StackResourceSummaries"]]
    return Deployed(
        outputs={each["OutputKey"]: each["OutputValue"] for each in described["Outputs"]},
        resources={each["LogicalResourceId"]: each["PhysicalResourceId"] for each in made},
        part=part,
    )


def _client(service: str, servers: Mapping[str, str]) -> Any:
    return aws.client(
        service, servers, region=servers["AWS_REGION"], endpoint=servers["LOCALSTACK_URL"]
    )


def _upload(part: Cut, servers: Mapping[str, str], bucket: str) -> str:
    """Put the template where CloudFormation gets it; a request may hold 51,200 bytes of it only."""
    s3.create_bucket(bucket, endpoint=servers["LOCALSTACK_URL"])
    key = f"{TEMPLATE.stem}.json"
    body = msgspec.json.encode(part.template)
    _client("s3", servers).put_object(Bucket=bucket, Key=key, Body=body)
    return f"{servers['LOCALSTACK_URL']}/{bucket}/{key}"


def _create(clouds: Any, name: str, url: str, parameters: Mapping[str, str]) -> None:
    """Make a change set and execute it; UserError if a resource fails."""
    where = {"StackName": name, "ChangeSetName": _CHANGE_SET}
    clouds.create_change_set(
        **where,
        ChangeSetType="CREATE",
        TemplateURL=url,
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[
            {"ParameterKey": key, "ParameterValue": text} for key, text in parameters.items()
        ],
    )
    try:
        clouds.get_waiter("change_set_create_complete").wait(**where, WaiterConfig=_OFTEN)
        clouds.execute_change_set(**where)
        clouds.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=_OFTEN)
    except WaiterError as error:
        events = clouds.describe_stack_events(StackName=name)["StackEvents"]
        raise UserError(
            f"the stack {name} was not created: {_failures(events) or error}"
        ) from error


def _failures(events: list[dict[str, Any]]) -> str:
    """Return what CloudFormation says of the resources that failed."""
    return "; ".join(
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
    )
