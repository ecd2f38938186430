"""The list of a record's headers: Java packs and unpacks it, Python reads it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from connectors.block import Headers
from connectors.kafka import headers
from dev.servers.setup import setup
from tests.sending import VARIED

ROOT = Path(__file__).parents[2]
PROBE = Path(__file__).with_name("Headers.java")
LONG: Headers = (("n" * 300, b"v" * 20_000), ("x", None))
OURS = ("ours", b"")


def passed(prefix: str, sent: Headers) -> tuple[str, Headers, Headers]:
    """Return the probe's first line, and the headers after consuming and producing."""
    cache = setup(ROOT, say=print)
    path = f"{cache.connectors_jar}:{cache.jars('kafka')}/*"
    coded = [part for name, value in sent for part in (name.encode().hex(), in_hex(value))]
    shown = subprocess.run(
        ["java", "-cp", path, str(PROBE), prefix, *coded],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, *lines = shown.stdout.splitlines()
    steps: dict[str, list[tuple[str, bytes | None]]] = {"consumed": [], "produced": []}
    for line in lines:
        step, _, pair = line.partition(" ")
        name, _, value = pair.partition(":")
        decoded = None if value == "-" else bytes.fromhex(value)
        steps[step].append((bytes.fromhex(name).decode(), decoded))
    return first, tuple(steps["consumed"]), tuple(steps["produced"])


def in_hex(value: bytes | None) -> str:
    return "-" if value is None else value.hex()


def test_java_and_python_use_the_same_names() -> None:
    first, _, _ = passed("", ())
    (option,) = set(headers.writing("header.")) - set(headers.writing())
    assert first.split() == [headers.LIST, option.removeprefix("properties.")]


@pytest.mark.parametrize("sent", [*VARIED, LONG])
def test_every_header_is_in_the_list_and_written_again(sent: Headers) -> None:
    _, consumed, produced = passed("", sent)
    assert consumed[: len(sent)] == sent
    if sent:
        name, packed = consumed[-1]
        assert (name, len(consumed)) == (headers.LIST, len(sent) + 1)
        assert packed is not None and headers.unpack(packed) == sent
    else:
        assert consumed == ()
    assert produced == (*sent, OURS)


def test_a_prefix_stands_before_each_name() -> None:
    sent = VARIED[-1]
    _, _, produced = passed("header.", sent)
    assert produced == (*((f"header.{name}", value) for name, value in sent), OURS)


def test_so_many_headers_that_prefixes_would_burst_the_message_stay_packed() -> None:
    sent = tuple((str(number), None) for number in range(586))
    _, _, fitting = passed("header.", sent[1:])
    assert len(fitting) == 586
    _, _, produced = passed("header.", sent)
    (name, packed), ours = produced
    assert (name, ours) == (headers.LIST, OURS)
    assert packed is not None and headers.unpack(packed) == sent
    assert len(packed) <= sum(len(name) + 2 for name, _ in sent) + 5


@pytest.mark.parametrize(
    "damaged", ["", "80", "02", "0204", "020261", "0201", "02026108", "020003"]
)
def test_a_damaged_list_is_told(damaged: str) -> None:
    with pytest.raises(ValueError, match=r"a header|the list"):
        headers.unpack(bytes.fromhex(damaged))
