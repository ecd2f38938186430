"""A copy of the stack whose kept resources have their names in plain text.

CloudFormation takes over what an earlier stack left only by a static name: `--import-existing-
resources` finds no resource by a name made with Ref or Fn::Sub
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources-automatically.html).
A later deployment of the stack itself makes the same names, and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from connectors.errors import UserError
from dev.rehearse.intrinsics import Stack, read
from dev.templates.derived import TEMPLATE

NAMES: Final = {
    "AWS::S3::Bucket": "BucketName",
    "AWS::Kinesis::Stream": "Name",
    "AWS::OpenSearchService::Domain": "DomainName",
    "AWS::Logs::LogGroup": "LogGroupName",
}
"""The property of each type of kept resource that is its name."""


def take_over(root: Path, parameters: Mapping[str, str], *, account: str, region: str) -> str:
    """Return the stack as JSON, with the names that these parameters make.

    Raises:
        UserError: the template has no such parameter.
    """
    template = read(root / TEMPLATE)
    if unknown := sorted(parameters.keys() - template["Parameters"].keys()):
        known = ", ".join(template["Parameters"])
        raise UserError(f"the stack has no parameter {', '.join(unknown)}; it has {known}.")
    place = {"AWS::AccountId": account, "AWS::Region": region}
    stack = Stack(template, {**place, **parameters}, {})
    for resource in kept(template).values():
        properties, name = resource["Properties"], NAMES[resource["Type"]]
        properties[name] = stack.resolve(properties[name])
    return json.dumps(template, separators=(",", ":"), default=str)


def kept(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resources that stay when the stack is deleted, by their logical ids."""
    resources = template["Resources"].items()
    return {name: each for name, each in resources if "DeletionPolicy" in each}
