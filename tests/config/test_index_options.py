"""Refused options and index names; secrets stay secret."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.errors import UserError
from connectors.opensearch.options import index_name
from tests.config.test_config import check


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "ftp://me:SECRET@host"}, "index.url"),
        ({"url": "host:9200"}, "index.url"),
        ({"url": "https://me:SECRET@host"}, "move it to index.username"),
        ({"url": "https://host", "auth": "basic"}, "password"),
        ({"url": "https://host", "auth": "sigv4"}, "index.region"),
        ({"url": "http://host", "auth": "sigv4", "region": "eu-west-1"}, "use https"),
        (
            {"url": "http://host", "auth": "basic", "username": "me", "password": "SECRET"},
            "use https",
        ),
        ({"url": "https://host", "prefix": "_"}, "index.prefix"),
        ({"url": "https://host/?a=b"}, "without a query"),
        ({"url": "https://host", "auth": "basic", "username": "a:b", "password": "c"}, "colon"),
        (
            {"url": "http://h", "auth": "sigv4", "region": "eu-west-1", "allow_plaintext": True},
            "use https",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        check(index=settings)
    assert "SECRET" not in str(raised.value)


def test_the_password_is_not_shown() -> None:
    config = check(index={"url": "https://h", "auth": "basic", "username": "me", "password": "S3"})
    assert "S3" not in repr(config) and "me" in repr(config)


@pytest.mark.parametrize(
    "name",
    ["", ".x", "_x", "-x", "+x", "X", "a.b", "a b", "a/b", "a*", "<trip-{now/d}>", "é", "a\n"],
)
def test_index_names_that_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="not an index name"):
        index_name("", name)


def test_an_index_name_is_prefix_and_type() -> None:
    assert index_name("taxi-", "green_trip") == "taxi-green_trip"
    with pytest.raises(UserError, match="at most 128"):
        index_name("a" * 128, "b")
