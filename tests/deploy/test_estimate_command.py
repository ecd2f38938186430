"""`streaming-etl estimate`: its mistakes, its prices and its settings."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest

from connectors.errors import UserError
from pipeline import cli
from pipeline.deploy.cost import commands
from pipeline.deploy.cost.load import LIMITS, Load
from pipeline.deploy.cost.prices import read_file
from pipeline.deploy.cost.stack import Stack
from tests.deploy.stacks import ROOT


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["streaming-etl", "estimate", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


RATE = ("--events-per-second", "1000")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--events-per-second", "0"), "--events-per-second is 0; allowed are 0.001 to 10,000,000"),
        (("--events-per-second", "nan"), "--events-per-second is nan"),
        (("--events-per-second", "inf"), "--events-per-second is inf"),
        ((*RATE, "--rejected-percent", "101"), "--rejected-percent is 101; allowed are 0 to 100"),
        ((*RATE, "--events-per-record", "9999"), "lower --events-per-record"),
        ((*RATE, "--parameter", "DomainNodes"), "'DomainNodes'; give NAME=VALUE"),
        ((*RATE, "--parameter", "DomainNodes=4"), "allowed are 3, 6, 9, 12"),
        ((*RATE, "--parameter", "Parallelism=0x2"), "a whole number, 1 to 128"),
        ((*RATE, "--parameter", "ArchiveExpireDays=1"), "a whole number, 30 or more"),
        ((*RATE, "--parameter", "Nodes=4"), "'Nodes' does not change the cost; these do: Paral"),
        ((*RATE, "--parameter", "DomainInstanceType=large"), "allowed is what matches"),
        ((*RATE, "--parameter", "DomainInstanceType=m6g.large.search"), "search_node_hour=USD"),
        ((*RATE, "--price", "kpu=1"), "price 'kpu' is unknown; known are kpu_hour, "),
        ((*RATE, "--price", "kpu_hour=cheap"), "--price kpu_hour is 'cheap'; give US dollars"),
        ((*RATE, "--price", "kpu_hour=-1"), "price kpu_hour is -1; allowed are 0 to 1,000,000"),
        ((*RATE, "--price", "kpu_hour=nan"), "price kpu_hour is nan"),
        ((*RATE, "--price", "metric=1", "--price", "metric=2"), "'metric' is given twice"),
        ((*RATE, "--prices", "missing.json"), "missing.json: cannot be read"),
        ((*RATE, "--config", "missing.yaml"), "missing.yaml: cannot be read"),
        ((), "Missing option '--events-per-second'"),
    ],
)  # fmt: skip
def test_a_mistake_is_explained(
    arguments: tuple[str, ...],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert run(monkeypatch, *arguments) == 2
    assert problem in capsys.readouterr().err


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(UserError, match=r"(?s)2 problems.*partitions.*month"):
        Load(events_per_second=1, partitions=0, month=0)
    with pytest.raises(UserError, match=r"(?s)2 problems.*DomainNodes.*Source"):
        Stack({"DomainNodes": "5", "Source": "files"})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[1]", "is a list, not an object such as"),
        ('{"kpu_hour": "0.1"}', "'kpu_hour' is '0.1'; give a number"),
        ('{"kpu_hour": true}', "'kpu_hour' is True; give a number"),
        ("kpu_hour: 1", "not JSON"),
    ],
)
def test_a_file_of_prices_is_checked(content: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text(content)
    with pytest.raises(UserError, match=problem):
        read_file(path)


def test_prices_of_a_file_and_then_those_of_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "prices.json"
    path.write_text('{"kpu_hour": 1, "metric": 2}')
    given_prices = ("--prices", str(path), "--price", "metric=3", "--json")
    assert run(monkeypatch, *RATE, *given_prices) == 0
    report = json.loads(capsys.readouterr().out)
    used = {line["price"]: line["usd_unit"] for line in report["lines"]}
    assert (used["kpu_hour"], used["metric"]) == (1, 3)
    assert {each["name"] for each in report["prices"] if each["basis"] == "yours"} == {
        "kpu_hour",
        "metric",
    }


def test_a_configuration_gives_the_settings_of_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "my.yaml"
    minimal = (ROOT / "conf" / "minimal.yaml").read_text()
    path.write_text(re.sub(r"file_seconds: \d+", "file_seconds: 5", minimal))
    assert run(monkeypatch, *RATE, "--config", str(path)) == 0
    assert f"{265 / 5:.3g} files/s x 3 requests" in capsys.readouterr().out


def test_the_command_has_the_defaults_of_a_load() -> None:
    options = inspect.signature(commands.estimate).parameters
    fields = {each.name: each.default for each in inspect.signature(Load).parameters.values()}
    del fields["events_per_second"]
    assert {name: options[name].default for name in fields} == fields
    assert set(LIMITS) == {*fields, "events_per_second"}
