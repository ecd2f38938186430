"""Least privilege: every need is granted, nothing else is, and `*` only where AWS demands it."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.deploy.permissions import ANY, NEEDS, STARS, Need
from tests.deploy.stacks import EVERYTHING, stack

ROLES = sorted({need.role for need in NEEDS})


def _statements() -> dict[str, list[dict[str, Any]]]:
    return {
        name: [
            statement
            for policy in each["Properties"]["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        for name, each in stack(**EVERYTHING).resources().items()
        if each["Type"] == "AWS::IAM::Role"
    }


STATEMENTS = _statements()


def _many(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _grants(role: str) -> Iterator[tuple[str, str]]:
    for each in STATEMENTS[role]:
        assert each["Effect"] == "Allow"
        for action in _many(each["Action"]):
            for resource in _many(each["Resource"]):
                yield action, resource


def _is_granted(need: Need, action: str) -> bool:
    return any(
        action == granted and (fnmatchcase(need.resource, pattern) or need.resource == pattern)
        for granted, pattern in _grants(need.role)
    )


def test_the_template_has_exactly_these_roles() -> None:
    assert sorted(STATEMENTS) == ROLES


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: f"{need.role} {need.resource[-30:]}")
def test_every_need_is_granted(need: Need) -> None:
    assert [action for action in need.actions if not _is_granted(need, action)] == []


@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_granted_that_is_not_needed(role: str) -> None:
    needed = [(action, need.resource) for need in NEEDS if need.role == role
              for action in need.actions]  # fmt: skip
    surplus = [
        (action, pattern)
        for action, pattern in _grants(role)
        if not any(
            action == wanted and (fnmatchcase(resource, pattern) or pattern == resource)
            for wanted, resource in needed
        )
        and not pattern.startswith("arn:aws:ec2:")
    ]
    assert surplus == []


@pytest.mark.parametrize("role", ROLES)
def test_no_action_is_a_wildcard_and_stars_are_listed(role: str) -> None:
    grants = list(_grants(role))
    assert [action for action, _ in grants if "*" in action] == []
    assert {action for action, pattern in grants if pattern == ANY} <= set(STARS)


@pytest.mark.parametrize("role", ROLES)
def test_a_star_is_bound_to_the_region(role: str) -> None:
    for each in STATEMENTS[role]:
        if ANY in _many(each["Resource"]):
            assert each["Condition"] == {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}


def test_interfaces_are_bound_to_the_vpc() -> None:
    (found,) = [each for each in STATEMENTS["ApplicationRole"] if each["Sid"] == "Interfaces"]
    assert found["Condition"]["ArnEqualsIfExists"]["ec2:Vpc"].endswith("vpc/vpc-12345678")


@pytest.mark.parametrize("role", ROLES)
def test_only_this_account_takes_a_role(role: str) -> None:
    trust = stack(**EVERYTHING).resources()[role]["Properties"]["AssumeRolePolicyDocument"]
    for each in trust["Statement"]:
        assert each["Condition"]["StringEquals"]["aws:SourceAccount"] == "123456789012"


def test_the_domain_leaves_it_to_the_roles() -> None:
    policy = stack().resources()["Domain"]["Properties"]["AccessPolicies"]
    (found,) = policy["Statement"]
    assert found["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}


def test_the_bucket_refuses_what_comes_without_tls() -> None:
    policy = stack().resources()["DataBucketPolicy"]["Properties"]["PolicyDocument"]
    (found,) = policy["Statement"]
    assert found["Effect"] == "Deny" and found["Condition"] == {
        "Bool": {"aws:SecureTransport": "false"}
    }


def test_without_options_the_role_has_none_of_their_actions() -> None:
    role = stack(OpenSearch="none").resources()["ApplicationRole"]["Properties"]
    statements = role["Policies"][0]["PolicyDocument"]["Statement"]
    services = {
        action.split(":")[0] for statement in statements for action in _many(statement["Action"])
    }
    assert services == {"s3", "logs", "kinesis"}
