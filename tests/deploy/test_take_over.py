"""The stack that takes over what a deleted one left: static names, and all else as it was."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import dev.__main__  # noqa: F401  It registers the commands.
from connectors.errors import UserError
from dev.rehearse.intrinsics import Stack
from dev.servers.commands import app
from dev.templates.take_over import NAMES, kept, take_over
from tests.deploy.stacks import EVERYTHING, ROOT, stack, template

PLACE = {"account": "123456789012", "region": "eu-west-1"}


@pytest.mark.parametrize("parameters", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_its_names_are_static_and_those_of_the_stack(parameters: dict[str, str]) -> None:
    taken = json.loads(take_over(ROOT, parameters, **PLACE))
    made = stack(**parameters)
    assert len(kept(taken)) == 6
    for name, resource in kept(taken).items():
        key = NAMES[resource["Type"]]
        found = resource["Properties"][key]
        assert isinstance(found, str) and "$" not in found
        assert found == made.resolve(template()["Resources"][name]["Properties"][key])


def test_all_else_is_as_it_was() -> None:
    taken, own = json.loads(take_over(ROOT, {}, **PLACE)), json.loads(json.dumps(template()))
    for resources in (taken["Resources"], own["Resources"]):
        for resource in kept({"Resources": resources}).values():
            del resource["Properties"][NAMES[resource["Type"]]]
    assert taken == own
    assert Stack(taken, {"PackageBucket": "packages"}, {}).holds("MakesStream")


def test_what_is_no_parameter_is_refused() -> None:
    with pytest.raises(UserError, match="the stack has no parameter Bucket; it has Appl"):
        take_over(ROOT, {"Bucket": "b"}, **PLACE)


@pytest.mark.parametrize(
    ("account", "region", "told"),
    [("12", "eu-west-1", "--account is 12"), ("123456789012", "Dublin", "--region is Dublin")],
)
def test_a_wrong_place_is_refused(account: str, region: str, told: str) -> None:
    done = CliRunner().invoke(app, ["take-over", "--account", account, "--region", region])
    assert isinstance(done.exception, UserError)
    assert told in str(done.exception)
