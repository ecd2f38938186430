"""Resolve a CloudFormation template with given parameters.

Only the functions that our own template uses are known; another one is a KeyError, so that a test
notices. moto's resolver (`moto.cloudformation.parsing`, 5.2.5) is no replacement: it knows no
OpenSearch domain, so it fails on the application, which refers to its endpoint, and it leaves out
properties in silence where it cannot resolve them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ACCOUNT: Final[Mapping[str, str]] = {
    "AWS::AccountId": "123456789012",
    "AWS::Region": "eu-west-1",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "streaming-etl",
}
_NOTHING: Final = object()
_PLACEHOLDER = re.compile(r"\$\{(!?)([\w:.]+)\}")


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags, `!Sub text` being `{"Fn::Sub": text}`."""


def _short_tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        text = loader.construct_scalar(node)
        return {name: text.split(".", 1) if suffix == "GetAtt" else text}
    assert isinstance(node, yaml.SequenceNode), f"{suffix} of a mapping"
    return {name: loader.construct_sequence(node, deep=True)}


yaml.add_multi_constructor("!", _short_tag, Loader=_Loader)


def read(path: Path) -> dict[str, Any]:
    """A template with every intrinsic in its long form."""
    template: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    return template


@dataclass(frozen=True, slots=True)
class Stack:
    """A template with parameters. `attributes` are what `Fn::GetAtt` gives, as `Domain.Arn`."""

    template: Mapping[str, Any]
    parameters: Mapping[str, str]
    attributes: Mapping[str, str]

    def resources(self) -> dict[str, Any]:
        """Every resource whose condition holds, with nothing left to resolve in it."""
        declared = self.template["Resources"].items()
        return {
            name: self.resolve(resource)
            for name, resource in declared
            if "Condition" not in resource or self.holds(resource["Condition"])
        }

    def holds(self, condition: str) -> bool:
        """Whether a condition of the template is true."""
        return bool(self.resolve(self.template["Conditions"][condition]))

    def resolve(self, value: Any) -> Any:
        """The value with every intrinsic in it evaluated; what is AWS::NoValue is left out."""
        if isinstance(value, list):
            parts = [self.resolve(part) for part in value]
            return [part for part in parts if part is not _NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in ("Ref", "Condition") and isinstance(argument, str):
                return self.ref(argument) if name == "Ref" else self.holds(argument)
            if name.startswith("Fn::"):
                return _FUNCTIONS[name](self, argument)
        resolved = {key: self.resolve(argument) for key, argument in value.items()}
        return {key: argument for key, argument in resolved.items() if argument is not _NOTHING}

    def ref(self, name: str) -> Any:
        """A parameter's value, a pseudo parameter's, or the name of a resource."""
        if name == "AWS::NoValue":
            return _NOTHING
        if name in self.template["Resources"]:
            return self.attributes.get(name, name)
        values = {**ACCOUNT, **self.parameters}
        if name in values:
            return values[name]
        return str(self.template["Parameters"][name]["Default"])

    def substituted(self, argument: Any) -> str:
        """Fn::Sub, with or without variables of its own."""
        text, own = (argument, {}) if isinstance(argument, str) else argument
        known = {name: self.resolve(argument) for name, argument in own.items()}

        def put(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in known:
                return str(known[name])
            return self.attributes[name] if "." in name else str(self.ref(name))

        return _PLACEHOLDER.sub(put, text)

    def chosen(self, argument: Any) -> Any:
        """Fn::If."""
        condition, yes, no = argument
        return self.resolve(yes if self.holds(condition) else no)


def _all(stack: Stack, argument: Any) -> list[Any]:
    return [stack.resolve(value) for value in argument]


_FUNCTIONS: Final[Mapping[str, Callable[[Stack, Any], Any]]] = {
    "Fn::Sub": Stack.substituted,
    "Fn::If": Stack.chosen,
    "Fn::GetAtt": lambda stack, path: stack.attributes[".".join(path)],
    "Fn::Join": lambda stack, it: it[0].join(map(str, stack.resolve(it[1]))),
    "Fn::Split": lambda stack, it: str(stack.resolve(it[1])).split(it[0]),
    "Fn::Select": lambda stack, it: stack.resolve(it[1])[int(it[0])],
    "Fn::Equals": lambda stack, it: len(set(map(str, _all(stack, it)))) == 1,
    "Fn::Not": lambda stack, it: not any(_all(stack, it)),
    "Fn::And": lambda stack, it: all(_all(stack, it)),
    "Fn::Or": lambda stack, it: any(_all(stack, it)),
}
