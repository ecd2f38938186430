"""Which settings and index names are refused, and that secrets stay secret."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.errors import UserError
from connectors.opensearch.client import IndexSettings, index_name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "ftp://host"}, "allowed is http"),
        ({"url": "host:9200"}, "allowed is http"),
        ({"url": "https://me:SECRET@host"}, "move it to index.username"),
        ({"url": "https://host", "auth": "basic"}, "index.password"),
        ({"url": "https://host", "auth": "sigv4"}, "index.region"),
        ({"url": "http://host", "auth": "sigv4", "region": "eu-west-1"}, "use https"),
        (
            {"url": "http://host", "auth": "basic", "username": "me", "password": "SECRET"},
            "use https",
        ),
        ({"url": "https://host", "prefix": "_"}, "no index name"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        IndexSettings(**settings)
    assert "SECRET" not in str(raised.value)


def test_the_password_is_not_shown() -> None:
    settings = IndexSettings(url="https://host", auth="basic", username="me", password="SECRET")
    assert "SECRET" not in repr(settings)


@pytest.mark.parametrize(
    "name",
    ["", ".x", "_x", "-x", "+x", "X", "a.b", "a b", "a/b", "a*", "<trip-{now/d}>", "é", "a\n"],
)
def test_index_names_that_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="no index name"):
        index_name("", name)


def test_an_index_name_is_prefix_and_type() -> None:
    assert index_name("taxi-", "green_trip") == "taxi-green_trip"
    with pytest.raises(UserError, match="at most 128"):
        index_name("a" * 128, "b")
