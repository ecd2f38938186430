"""Files that people write are read as UTF-8, and a key of JSON given twice is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.errors import UserError
from connectors.kafka.options import Kafka
from connectors.kafka.security import flink_properties
from connectors.text_files import cut, parse_json, read_text, shown


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"\xef\xbb\xbfhidden")
    assert read_text(file) == "hidden"


@pytest.mark.parametrize("content", [b"hidden\xff", "hidden".encode("utf-16"), b"hidd\xe9n"])
def test_another_encoding_is_refused_without_the_content(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(content)
    with pytest.raises(
        UserError, match=r"is not UTF-8, see its byte \d; save it as UTF-8"
    ) as raised:
        read_text(file)
    assert "hidd" not in str(raised.value) and raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "why"),
    [("none", "No such file"), ("a\0b", "null byte"), ("x" * 5000, "too long"), ("", "directory")],
)
def test_what_cannot_be_read_is_reported(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"cannot be read .*{why}.*. Do this") as raised:
        read_text(tmp_path / name, " Do this.")
    assert len(str(raised.value)) < 500


def test_certificates_that_are_not_text_are_reported(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(b"\x30\x82\xff")
    with pytest.raises(UserError, match=r"kafka.ca_file: .*is not UTF-8"):
        flink_properties(Kafka(bootstrap_servers="h:1", security="tls", ca_file=str(file)))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1,\n "b": 2,\n "a": 3}',
        '{"x": {"b": [{"a": 1,\n\n"\\u0061": 2}]}}',
        '[{"a":\n"}a:{\\"a", "b":\n1, "a": 1}]',
    ],
)
def test_a_key_given_twice_is_refused_with_both_lines(text: str) -> None:
    with pytest.raises(
        UserError, match="here: the key 'a' is given twice, in line 1 and in line 3"
    ):
        parse_json(text, "here")


@pytest.mark.parametrize("text", ['[{"a": 1}, {"a": {"a": "a"}}]', '{"a": ["a", "a"], "b": "a:"}'])
def test_equal_keys_of_two_objects_are_not_twice(text: str) -> None:
    assert parse_json(text, "here")


@pytest.mark.parametrize(
    "text", ["NaN", "-Infinity", "[" * 5000, "[" * 200 + "]" * 200, "1" * 9999]
)
def test_what_json_does_not_have_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="here: (not JSON|nested)") as raised:
        parse_json(text, "here")
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("number", ["0.0", "0e-400", "4.9e-324"])
def test_a_number_that_a_double_holds_is_taken(number: str) -> None:
    assert parse_json(number, "here") == float(number)


@pytest.mark.parametrize("number", ["1e-400", "-2.4E-324", "1e400"])
def test_a_number_that_no_double_holds_is_refused(number: str) -> None:
    with pytest.raises(UserError, match=f"here: .*a double cannot hold {number}"):
        parse_json(number, "here")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("http://me:SE/CR@T@host/x", "'********@host/x'"),
        ("https://host/?token=SECRET", "'https://host/?********'"),
        ({"password": "SECRET"}, "a mapping"),
        (["SECRET"], "a list"),
        (7, "7"),
        ("a\n\x1b[2J", r"'a\n\x1b[2J'"),
    ],
)
def test_a_value_in_a_message(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_long_value_is_cut() -> None:
    assert cut("x" * 100_000) == "x" * 77 + "..."
