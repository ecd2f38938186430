"""Cut the template to the part that LocalStack's community edition deploys.

A resource is left out if its type is not one of `KNOWN`, if its condition does not hold, or if it
needs one that is left out. Conditions are evaluated here, because LocalStack 4.9.2 resolves the
references of resources whose condition is false, and then refuses the template.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dev.rehearse.intrinsics import Stack

KNOWN: Final = frozenset(
    {
        "AWS::CloudWatch::Alarm",
        "AWS::EC2::VPCEndpoint",
        "AWS::Events::Rule",
        "AWS::IAM::Role",
        "AWS::Kinesis::Stream",
        "AWS::Logs::LogGroup",
        "AWS::Logs::LogStream",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::SNS::Topic",
    }
)
"""The template's types among those that LocalStack 4.9.2 has a resource provider for.

It has one for OpenSearch domains too, which fetches and starts an OpenSearch of its own."""

_VARIABLE: Final = re.compile(r"\$\{([^!}.]+)")


@dataclass(frozen=True, slots=True)
class Cut:
    """A template without some resources, and why each of them is left out."""

    template: Mapping[str, Any]
    left_out: Mapping[str, str]

    def summary(self) -> dict[str, int]:
        """Count what is left out by its reason."""
        reasons = list(self.left_out.values())
        return {reason: reasons.count(reason) for reason in sorted(set(reasons))}


def cut(template: Mapping[str, Any], parameters: Mapping[str, str]) -> Cut:
    """Return the part of a template that is known and wanted with these parameters."""
    stack = Stack(template, parameters, {})
    kept: dict[str, Any] = dict(template["Resources"])
    left_out: dict[str, str] = {}
    while reasons := {
        name: reason
        for name, resource in kept.items()
        if (reason := _reason(resource, stack, left_out))
    }:
        left_out |= reasons
        kept = {name: resource for name, resource in kept.items() if name not in reasons}
    outputs = {
        name: output
        for name, output in template["Outputs"].items()
        if _is_wanted(output, stack) and not left_out.keys() & set(references(output))
    }
    return Cut({**template, "Resources": kept, "Outputs": outputs}, left_out)


def references(value: Any) -> Iterator[str]:
    """Yield the names of the resources and parameters that a part of a template refers to."""
    if isinstance(value, list):
        for part in value:
            yield from references(part)
    elif isinstance(value, Mapping):
        for name, argument in value.items():
            yield from _named(name, argument)
            yield from references(argument)


def _named(function: str, argument: Any) -> Iterator[str]:
    """Yield the names in the argument of one function."""
    if function == "Ref" and isinstance(argument, str):
        yield argument
    elif function == "Fn::GetAtt":
        yield argument[0]
    elif function == "DependsOn":
        yield from [argument] if isinstance(argument, str) else argument
    elif function == "Fn::Sub":
        text, own = (argument, {}) if isinstance(argument, str) else argument
        yield from (name for name in _VARIABLE.findall(text) if name not in own)


def _reason(resource: Mapping[str, Any], stack: Stack, left_out: Mapping[str, str]) -> str:
    """Return why a resource is left out; an empty text if it is kept."""
    if not _is_wanted(resource, stack):
        return f"without {resource['Condition']}"
    if resource["Type"] not in KNOWN:
        return f"unknown {resource['Type']}"
    absent = sorted(left_out.keys() & set(references(resource)))
    return f"needs {absent[0]}" if absent else ""


def _is_wanted(declared: Mapping[str, Any], stack: Stack) -> bool:
    return "Condition" not in declared or stack.holds(declared["Condition"])
