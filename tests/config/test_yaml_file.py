"""YAML: each key once, no text of the file in a message, nothing read as what it does not look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.errors import UserError
from connectors.text_files import parse_json
from pipeline.config import load as load_config
from pipeline.config.yaml_file import read_yaml

ROOT = Path(__file__).parents[2]


def read(folder: Path, text: str | bytes) -> dict[str, Any]:
    path = folder / "config.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_yaml(path)


@pytest.mark.parametrize(
    ("text", "key", "lines"),
    [
        ("a: 1\nb: 2\na: 3\n", "a", (1, 3)),
        ("replicate:\n  a: {x: 1}\nlake: {}\nreplicate:\n  b: {x: 2}\n", "replicate", (1, 4)),
        ("a:\n  b:\n    c: 1\n    'c': 2\n", "c", (3, 4)),
        ("a: [{b: 1, b: 2}]", "b", (1, 1)),
        ("a: &x {c: 1}\nb: &y {d: 1}\ne:\n  <<: *x\n  <<: *y\n", "<<", (4, 5)),
        ("? a\n: 1\n? a\n: 2\n", "a", (1, 3)),
    ],
)
def test_a_key_given_twice_is_refused_with_both_lines(
    text: str, key: str, lines: tuple[int, int], tmp_path: Path
) -> None:
    where = f"the key {key} is given twice, in line {lines[0]} and in line {lines[1]}"
    with pytest.raises(UserError, match=where):
        read(tmp_path, text)


def test_a_merged_key_may_be_overridden(tmp_path: Path) -> None:
    content = read(tmp_path, "base: &b {x: 1, y: 2}\nmore: {<<: *b, y: 3}\nagain: *b\n")
    assert content["more"] == {"x": 1, "y": 3} and content["again"] == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    "text", ["a: &x [*x]", "a: &x {b: *x}", "a: &x {<<: *x}", "a: &x [1, {b: [*x]}]"]
)
def test_an_alias_of_itself_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 1, .*an alias is inside of what it stands for"):
        read(tmp_path, text)


def test_aliases_cannot_multiply(tmp_path: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(UserError, match="stand for more than 100,000 values"):
        read(tmp_path, "\n".join(levels))


@pytest.mark.parametrize(
    "value",
    [
        "@hunter2",
        "%hunter2",
        "*hunter2",
        "!hunter2",
        "hunter2: b",
        "`hunter2",
        '"hunter2',
        "[hunter2",
    ]
    + ["&hunter2 &b c", "!!int hunter2", "!!timestamp hunter2", "!!bool hunter2", "!a!hunter2 b"]
    + ["{hunter2: 1, hunter2 2", "'hunter2' b", '"\\hunter2"', "hunter2\n   x: y", "|hunter2"],
)
def test_an_error_does_not_quote_the_line(value: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        read(tmp_path, f"kafka:\n  password: {value}\nsource:\n  kafka_topics: [t]\n")
    message = str(raised.value)
    assert "hunter2" not in message and "config.yaml: " in message
    assert "line 2" in message or "line 3" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: caf\xe9", "is not UTF-8, see its byte 7"),
        ("a: b".encode("utf-16"), "is not UTF-8, see its byte 1"),
        ("a: b\nc: \0", "line 2 has a control character"),
        ("[" * 3000, "nested too deep"),
        ("just text", "not a text or number"),
        ("- a", "not a list"),
        ("", "not nothing"),
        ("a: 1\n---\nb: 2", "but found another document"),
        ("? [a]\n: 1", "a key must be a name"),
        ("a: {<<: 1}", "expected a mapping or list of mappings for merging"),
    ],
)
def test_what_is_no_configuration_is_reported(
    text: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, text)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfa: 1") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2018-01-01T00:00:00Z", "2018-01-01T00:00:00Z"),
        ("2018-01-01", "2018-01-01"),
        ("12:30:45", "12:30:45"),
        ("010", "010"),
        ("0x1F", "0x1F"),
        ("1" * 5000, "1" * 5000),
        ("=", "="),
        ("1_000_000", 1_000_000),
        ("-7", -7),
        ("0.5", 0.5),
        ("1.0e-9", 1e-9),
        (".inf", float("inf")),
        ("yes", True),
        ("~", None),
    ],
)
def test_plain_values(text: str, value: object, tmp_path: Path) -> None:
    assert read(tmp_path, f"a: {text}") == {"a": value}
    assert read(tmp_path, yaml.safe_dump({"a": value})) == {"a": value}


def test_a_start_timestamp_needs_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "kinesis: {region: eu-west-1}\n"
        "source:\n  kinesis_streams: [trips]\n  kinesis_start: at_timestamp\n"
        "  kinesis_start_timestamp: 2018-01-01T00:00:00Z\n"
        "archive: {path: s3a://bucket/archive}\n"
    )
    assert load_config.load(path).source.kinesis_start_timestamp == "2018-01-01T00:00:00Z"


@pytest.mark.parametrize("name", ["docker-compose.yml", "conf/aws/template.yaml"])
def test_nor_does_another_file_of_ours_have_a_key_twice(name: str) -> None:
    def keys(node: yaml.Node) -> Iterator[list[str]]:
        if isinstance(node, yaml.MappingNode):
            yield [key.value for key, _ in node.value]
            yield from (found for _, value in node.value for found in keys(value))
        elif isinstance(node, yaml.SequenceNode):
            yield from (found for value in node.value for found in keys(value))

    root = yaml.compose((ROOT / name).read_text())
    assert root and all(len(set(each)) == len(each) for each in keys(root))


@pytest.mark.parametrize("pattern", ["schemas/**/*.avsc", "schemas/**/*.json", "conf/**/*.json"])
def test_nor_does_json_of_ours(pattern: str) -> None:
    paths = sorted(ROOT.glob(pattern))
    assert paths and all(parse_json(path.read_text(), str(path)) for path in paths)


@pytest.mark.parametrize("path", sorted(ROOT.glob("conf/*.yaml")), ids=lambda path: path.name)
def test_the_shipped_files_have_each_key_once(path: Path) -> None:
    assert read_yaml(path)
