"""docs/deploy.md: every command is marked, few enough, and one that AWS knows."""

from __future__ import annotations

import re
import shlex

import botocore.session
import pytest
from botocore import xform_name

from tests.deploy.stacks import EVERYTHING, ROOT, stack, template

PAGE = (ROOT / "docs" / "deploy.md").read_text()
AWS_PART = PAGE.partition("## AWS")[2].partition("\n## ")[0]
COMMANDS = [
    line
    for block in re.findall(r"```\n(.*?)```", AWS_PART, re.DOTALL)
    for line in block.splitlines()
]
# Of the CLI itself, above the interface of the service.
HIGH_LEVEL = {("s3", "mb"), ("s3", "cp"), ("cloudformation", "deploy"), ("logs", "tail")}
CLIENT_OPTIONS = {"--query"}


def _outputs() -> list[str]:
    made = stack(**EVERYTHING)
    values = [str(made.resolve(output["Value"])) for output in template()["Outputs"].values()]
    return [value for value in values if value.startswith("aws ")]


def test_there_are_fewer_than_twenty() -> None:
    assert 10 < len(COMMANDS) < 20


@pytest.mark.parametrize("command", COMMANDS)
def test_each_says_what_it_needs(command: str) -> None:
    mark = re.fullmatch(r".+# \[(.+)\]", command)
    assert mark, command
    assert mark[1] == "account" or mark[1] == "tests/package" or (ROOT / mark[1]).exists()


@pytest.mark.parametrize(
    "command", [each for each in [*COMMANDS, *_outputs()] if each.startswith("aws ")]
)
def test_aws_knows_the_command(command: str) -> None:
    _, service, operation, *rest = shlex.split(command, comments=True)
    if (service, operation) in HIGH_LEVEL:
        return
    model = botocore.session.get_session().get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(names[operation]).input_shape
    known = {f"--{xform_name(member, '-')}" for member in shape.members} | CLIENT_OPTIONS
    assert {word for word in rest if word.startswith("--")} <= known


def test_parameters_in_the_page_are_the_templates() -> None:
    named = set(re.findall(r"\b([A-Z]\w+)=", AWS_PART)) - {"PACKAGES", "STACK"}
    named -= {"ApplicationRestoreConfiguration", "ApplicationRestoreType", "Database"}
    assert named - {"OutputLocation"} <= set(template()["Parameters"])
