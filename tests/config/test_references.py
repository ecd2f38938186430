"""`${env:…}` and `${file:…}`: resolved, refused if they only look like it, and never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from pipeline.config import load as load_config
from pipeline.config.references import References
from tests.config.test_config import BASE


def resolve(value: Any, **environment: str) -> Any:
    return References(environment).resolve(value, "index.url")


@pytest.mark.parametrize(
    ("environment", "value"), [({}, "default"), ({"X": ""}, "default"), ({"X": "set"}, "set")]
)
def test_the_default_is_for_unset_and_for_empty(environment: dict[str, str], value: str) -> None:
    assert resolve("a ${env:X:-default}", **environment) == f"a {value}"


def test_an_empty_variable_is_a_value_without_a_default() -> None:
    assert resolve("${env:X}", X="") == "" == resolve("${env:X:-}")
    with pytest.raises(UserError, match="index.url: the environment variable X is not set"):
        resolve("${env:X}")


@pytest.mark.parametrize(
    "text",
    ["${KAFKA_PASSWORD}", "s3a://${BUCKET}/x", "${file:/a:b}", "${env:}", "${env:A B}", "${ENV:A}"]
    + ["${env:A", "${file:/a:-default}", "${env:A:-${env:B}}", "${env:A-b}", "${}", "$PASSWORD"]
    + ["${env:1A}", "x ${env:A} ${A}", "${file:}", "${env:A:-{}}"],
)
def test_what_only_looks_like_a_reference_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="index.url has .*looks like a reference and is none"):
        resolve(text, A="a", B="b")


@pytest.mark.parametrize("text", ["a$b", "$", "$1", "{env:A}", "cost $HOME/x"])
def test_other_text_stays(text: str) -> None:
    assert resolve(text) == text


def test_what_is_inserted_is_not_searched_again() -> None:
    assert resolve("${env:A}", A="${env:B} ${C}") == "${env:B} ${C}"


@pytest.mark.parametrize(
    "content", [b"secret", b"secret\n", b"secret\r\n", b"\xef\xbb\xbfsecret\n"]
)
def test_a_secret_file_holds_the_secret_alone(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    assert resolve(f"${{file:{file}}}") == "secret"


def test_a_secret_file_of_another_encoding_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes("sécret".encode("latin-1"))
    with pytest.raises(UserError, match="index.url: the file .*is not UTF-8") as raised:
        resolve(f"${{file:{file}}}")
    assert "cret" not in str(raised.value).replace(str(file), "")
    with pytest.raises(UserError, match="index.url: the file .*cannot be read"):
        resolve("${file:/a\0b}")


@pytest.mark.parametrize(
    "changed",
    [
        {"index": "${env:SECRET}"},
        {"index": {"url": "${env:SECRET}"}},
        {"index": {"auth": "${env:SECRET}"}},
        {"index": {"prefix": "x", "timeout_seconds": "${env:SECRET}"}},
        {"source": {"kafka_cluster": "${env:SECRET}"}},
        {"source": {"kafka_topics": ["t", "${env:SECRET}", "${env:SECRET}"]}},
        {"kinesis": {"endpoint": "http://${env:SECRET}"}},
        {"kafka": {"bootstrap_servers": "${env:SECRET}:9092"}},
        {"dead_letters": {"path": "s3a://x_${env:SECRET}/x"}},
    ],
)
def test_no_message_has_what_a_reference_stands_for(changed: dict[str, Any]) -> None:
    with pytest.raises(UserError) as raised:
        load_config.check(
            BASE | changed, where="test.yaml", environment={"SECRET": "hunter2-hunter3"}
        )
    assert "hunter" not in str(raised.value) and next(iter(changed)) in str(raised.value)
