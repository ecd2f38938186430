"""The pages of AWS: commands are few and marked where one begins, and all are known to AWS."""

from __future__ import annotations

import re
import shlex

import botocore.session
import pytest
from botocore import xform_name

from pipeline.config.flink_settings import flink_settings
from pipeline.config.model import Job
from tests.deploy.stacks import EVERYTHING, ROOT, stack, template

PAGE = (ROOT / "docs" / "deploy.md").read_text()
AWS_PART = PAGE.partition("## AWS")[2].partition("\n## ")[0]
COMMANDS = [
    line
    for block in re.findall(r"```\n(.*?)```", AWS_PART, re.DOTALL)
    for line in block.splitlines()
]
OPERATE = (ROOT / "docs" / "operate-on-aws.md").read_text()
LATER = [line.strip() for line in OPERATE.splitlines() if line.strip().startswith("aws ")]
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
    "command", [each for each in [*COMMANDS, *LATER, *_outputs()] if each.startswith("aws ")]
)
def test_aws_knows_the_command(command: str) -> None:
    _, service, operation, *rest = shlex.split(command, comments=True)
    if (service, operation) in HIGH_LEVEL:
        return
    session = botocore.session.get_session()
    model = session.get_service_model(service)
    if operation == "wait":
        waiters = session.get_waiter_model(service)
        found = {xform_name(name, "-"): name for name in waiters.waiter_names}
        operation = xform_name(waiters.get_waiter(found[rest.pop(0)]).operation, "-")
    names = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(names[operation]).input_shape
    known = {f"--{xform_name(member, '-')}" for member in shape.members} | CLIENT_OPTIONS
    assert {word for word in rest if word.startswith("--")} <= known


def test_parameters_in_the_page_are_the_templates() -> None:
    named = set(re.findall(r"\b([A-Z]\w+)=", AWS_PART)) - {"PACKAGES", "STACK"}
    named |= set(re.findall(r"ParameterKey=(\w+)", OPERATE))
    named -= {"ApplicationRestoreConfiguration", "ApplicationRestoreType", "Database"}
    assert named - {"OutputLocation"} <= set(template()["Parameters"])


def test_what_is_taken_over_is_what_the_stack_keeps() -> None:
    resources = template()["Resources"]
    kept = {name for name, each in resources.items() if "DeletionPolicy" in each}
    told = re.search(r"(?s)must show `Import` for (.+?), and `Add`", OPERATE)
    assert told
    assert set(re.findall(r"`(\w+)`", told[1])) == kept
    assert {resources[name]["DeletionPolicy"] for name in kept} == {"RetainExceptOnCreate"}


def test_the_queries_are_those_of_the_page() -> None:
    made = [
        each["Properties"]["Name"]["Fn::Sub"].rpartition("/")[2]
        for each in template()["Resources"].values()
        if each["Type"] == "AWS::Logs::QueryDefinition"
    ]
    told = re.search(r"\| query \| shows \|\n\| --- \| --- \|\n((?:\| .+\n)+)", OPERATE)
    assert told
    assert re.findall(r"(?m)^\| `(\w+)`", told[1]) == made


def test_the_settings_of_the_page_are_those_that_the_job_makes() -> None:
    section = OPERATE.partition("| setting |")[2].partition("\n\n")[0]
    told = re.findall(r"(?m)^\| (.+?) \|", section)
    names = [name for cell in told for name in re.findall(r"`([^`]+)`", cell)]
    job = flink_settings(Job(checkpoint_timeout_seconds=None))
    for setting in job:
        assert any(
            setting.startswith(name.rstrip("*")) or setting.endswith(name) for name in names
        ), setting
    for name in names:
        assert any(
            setting.startswith(name.rstrip("*")) or setting.endswith(name) for setting in job
        ), name
