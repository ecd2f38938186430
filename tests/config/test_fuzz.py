"""Thousands of broken configurations: each ends in 0 or in 2 with one short message.

The message names a key, a section or a line, has no planted secret and at most 2 kB. Seeded: a
failure comes again.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from connectors.errors import UserError
from pipeline.config.convert import sections
from pipeline.config_commands import app as config_app

SEED = 15
SECRET = "hunter2"
ENVIRONMENT = {"SECRET": f"{SECRET}-in-a-variable", "EMPTY": ""}
COMMAND = [str(Path(sys.executable).parent / "streaming-etl"), "config"]

BASE: dict[str, Any] = {
    "kafka": {
        "bootstrap_servers": "broker:9096",
        "security": "scram",
        "username": "etl",
        "password": f"{SECRET}-of-kafka",
    },
    "clusters": {"other": {"bootstrap_servers": "127.0.0.1:9192"}},
    "kinesis": {"region": "eu-west-1"},
    "source": {"kafka_topics": ["trips"]},
    "archive": {"path": "s3a://bucket/archive"},
    "lake": {"path": "s3a://bucket/lake"},
    "index": {
        "url": "https://search:9200",
        "auth": "basic",
        "username": "etl",
        "password": f"{SECRET}-of-index",
    },
    "replicate": {"airport": {"kafka_topic": "airport", "kafka_cluster": "other"}},
    "dead_letters": {"kafka_topic": "dead", "redrive_key": f"{SECRET}-that-signs-what-is-redriven"},
    "job": {"name": "trips"},
}
ENTRY = {"clusters": "other", "replicate": "airport"}
URLS = [
    f"http://me:{SECRET}@host",
    f"https://me:{SECRET}@127.0.0.1:9200/x",
    f"https://me:a/{SECRET}@host",
    f"https://me:1/{SECRET}@host",
    f"ftp://me:{SECRET}@host",
    f"s3a://key:{SECRET}@bucket/x",
]
"""With a user and a password, wherever they are written."""
NOT_URLS = [f"me:{SECRET}@broker:9092", f"https://host/?token={SECRET}", f"https://host/#{SECRET}"]
"""Of keys that hold a URL or brokers."""
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**23, 10**40, -(10**23), 1e-9, 1e-300, 1e300,
    float("inf"), float("-inf"), float("nan"), 0.5, "", " ", "a", "ä", "a b", "a\n", "a\r\n", "\0",
    "\x1b[2J", "\ud7ff", "x" * 5000, "x" * 50_000, "a/" * 3000, "1" * 5000, "1e999", "12:30",
    "2018-01-01", "2018-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
    "${env:SECRET}", "x${env:SECRET}y", "http://${env:SECRET}", "${env:NOT_SET}", "${env:EMPTY}",
    "${SECRET}", "$SECRET", "${file:/not/there}", "${file:/}", "${file:a\0b}", "${env:A:-${env:B}}",
    "${file:" + "x" * 300 + "}", "${env:" + "X" * 5000 + "}", "s3a://b_b/x", "s3a://bucket//x",
    "file:///a#b", "s3a://bucket/lake/x", "kafka://h:1", "http://[::1", "http://h:99999", "[::1]:1",
    "arn:aws:kinesis:eu-west-1:123456789012:stream/x", "trips", "dead", "other", "basic", "sigv4",
    [], [[]], ["a", "a"], ["trips", "x\n"], [None], [{"password": SECRET}], {}, {"a": 1},
    {"password": SECRET}, [SECRET] * 3000, {str(n): n for n in range(1000)},
    *URLS,
]  # fmt: skip
LINES = [
    *("@{}", "%{}", "*{}", "!{}", "&{}", "`{}", "|{}", ">{}", "{}: b", '"{}', "'{}", "[{}", "{{{}"),
    *("- {}", "? {}", "!!int {}", "!!binary {}", "!!python/name:{}", "&a *a {}", "{}\n x", "\t{}"),
    *(
        "{} # x",
        "{}\n   y: z",
        "'{}' x",
        '"\\q{}"',
        "<<: {}",
        "${{env:{}",
        "${{{}}}",
    ),
]


@dataclass(frozen=True)
class Case:
    """A file's content, what may be named in its message, and files beside it."""

    name: str
    content: bytes
    words: tuple[str, ...] = ("line ",)
    beside: dict[str, bytes] = field(default_factory=dict)


def written(config: Any) -> bytes:
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True).encode("utf-8", "replace")


def changed(section: str, key: str, value: Any) -> bytes:
    """Return the base with one key set."""
    sections = {name: dict(keys) for name, keys in BASE.items()}
    if entry := ENTRY.get(section):
        sections[section] = {entry: {**sections[section][entry], key: value}}
    else:
        sections[section] = {**sections.get(section, {}), key: value}
    return written(sections)


def cases(chance: random.Random) -> Iterator[Case]:
    keys = [
        (name, key) for name, section in sections().items() for key in section.__struct_fields__
    ]
    for section, key in keys:
        addresses = NOT_URLS if key in ("url", "endpoint", "bootstrap_servers") else []
        for value in chance.sample(VALUES, 6) + chance.sample(URLS, 2) + addresses:
            # A second key may be the one that no longer fits, so any key may be named.
            yield Case(f"{section}.{key}={value!r:.40}", changed(section, key, value), (section,))
    for section in BASE:
        for value in chance.sample(VALUES, 20):
            yield Case(f"{section}={value!r:.40}", written({**BASE, section: value}), (section,))
        wrong = f"{section}x"
        yield Case(wrong, written({**BASE, wrong: {}}), (f"section {wrong}",))
    text = written(BASE)
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        again = [*lines[: number + 1], line, *lines[number + 1 :]]
        yield Case(f"line {number} twice", b"".join(again), ("line ", "twice"))
        yield Case(f"cut after line {number}", b"".join(lines[:number]), ("",))
    for section in BASE:
        yield Case(f"{section} twice", text + written({section: BASE[section]}))
    passwords = [index for index, line in enumerate(lines) if b"password" in line]
    for index in passwords:
        for template in LINES:
            line = f"  password: {template.format(SECRET)}\n".encode()
            yield Case(
                f"password: {template}", b"".join([*lines[:index], line, *lines[index + 1 :]]),
                ("line ", "password", "username"),
            )  # fmt: skip
    for _ in range(250):
        broken = bytearray(text)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(broken))
            broken[at : at + chance.randint(0, 3)] = chance.choice(
                [
                    b"",
                    b"\n",
                    b":",
                    b": ",
                    b"  ",
                    b"{",
                    b"[",
                    b"&a ",
                    b"*a ",
                    b"!",
                    b"\xff",
                    b"\0",
                    b"'",
                ]
            )
        yield Case("bytes", bytes(broken), ("",))
    yield from files(text)


def files(text: bytes) -> Iterator[Case]:
    """Yield whole files of another kind, and secret files and schemas that cannot be read."""
    for encoding in ("latin-1", "utf-16", "utf-32"):
        yield Case(encoding, (text.decode() + "# é\n").encode(encoding), ("UTF-8",))
    yield Case("recursive", text + b"x: &x [*x]\n", ("line ",))
    yield Case("nested", b"a: " + b"[" * 5000, ("nested",))
    yield Case("documents", text + b"---\n" + text, ("line ",))
    yield Case("empty", b"", ("source",))
    for content in (b"\xff" + SECRET.encode(), SECRET.encode("utf-16"), SECRET.encode() + b"\0x"):
        for section in ("kafka", "index"):
            yield Case(
                f"secret file {content!r}", changed(section, "password", "${file:FOLDER/secret}"),
                (f"{section}.password",), {"secret": content},
            )  # fmt: skip
    for content in (
        b"\xff",
        b"{",
        b"[" * 5000,
        b'{"a":1,"a":2}',
        b"{}",
        b'{"fields":[{"name":"a"}]}',
    ):
        yield Case(
            f"schema {content!r:.30}", changed("decode", "schemas", "FOLDER"),
            ("decode.schemas",), {"a.avsc": content},
        )  # fmt: skip


def problem(case: Case, code: int, output: str) -> str:
    """Return what is wrong with the outcome of a case; empty if nothing."""
    if code not in (0, 2):
        return f"exit {code}"
    if SECRET in output:
        return "shows the secret"
    if code == 2 and len(output.encode()) > 2000:
        return f"{len(output.encode())} bytes"
    if code == 2 and not any(word in output for word in case.words):
        return f"names none of {case.words}"
    return "a traceback" if "Traceback" in output else ""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def place(case: Case, folder: Path) -> Path:
    for name, content in case.beside.items():
        (folder / name).write_bytes(content)
    path = folder / "config.yaml"
    path.write_bytes(case.content.replace(b"FOLDER", str(folder).encode()))
    return path


def test_every_broken_configuration_ends_in_one_short_message(tmp_path: Path) -> None:
    runner = CliRunner()
    wrong, codes = list[str](), list[int]()
    for case in cases(random.Random(SEED)):
        path = place(case, tmp_path)
        done = runner.invoke(config_app, ["check", "--config", str(path)])
        code, output = done.exit_code, done.output
        if isinstance(done.exception, UserError):
            code, output = 2, str(done.exception)
        elif code == 0 and "${env:SECRET}" not in case.content.decode(errors="replace"):
            # A value of a variable is shown, except for a password's.
            output += runner.invoke(config_app, ["show", "--config", str(path)]).output
        codes.append(code)
        if fault := problem(case, code, output):
            wrong.append(f"{case.name}: {fault}: {done.exception!r:.300} {output[:300]}")
    assert wrong == []
    assert len(codes) > 1000 and 30 < codes.count(0) < len(codes) / 2


@pytest.mark.parametrize(
    "case",
    [
        Case("tag", b"kafka:\n  password: !hunter2 x\n", ("line 2",)),
        Case("twice", b"job: {}\njob: {}\n", ("line 1 and in line 2",)),
        Case("url", changed("index", "url", URLS[2]), ("index.url",)),
        Case("number", changed("job", "checkpoint_seconds", 1e-9), ("job.checkpoint_seconds",)),
        Case("text", changed("decode", "schemas", "x" * 5000), ("decode.schemas",)),
    ],
    ids=lambda case: case.name,
)
def test_a_process_ends_so_too(case: Case, tmp_path: Path) -> None:
    path = place(case, tmp_path)
    done = subprocess.run(
        [*COMMAND, "check", "--config", str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert problem(case, done.returncode, done.stderr) == ""
    assert re.match(rf"streaming-etl: {re.escape(str(path))}: ", done.stderr)
