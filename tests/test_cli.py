"""The command line, run as a user does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from setuptools.config.pyprojecttoml import read_configuration

from pipeline import __version__
from pipeline.cli import COMMANDS, load

ROOT = Path(__file__).parent.parent
COMMAND = [str(Path(sys.executable).parent / "streaming-etl")]
GOOD = (
    '{"vendor_id":1,"pickup_datetime":"2018-01-01T00:21:05.000Z",'
    '"dropoff_datetime":"2018-01-01T00:24:23.000Z","passenger_count":1,"trip_distance":0.5,'
    '"ratecode_id":1,"store_and_fwd_flag":"N","pickup_location_id":41,"dropoff_location_id":24,'
    '"payment_type":2,"fare_amount":4.5,"extra":0.5,"mta_tax":0.5,"tip_amount":0.0,'
    '"tolls_amount":0.0,"improvement_surcharge":0.3,"total_amount":5.8,"trip_id":4071441,'
    '"type":"trip"}'
)


def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, input=given, cwd=ROOT, check=False
    )


def test_the_version_is_the_newest_of_the_changelog() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"streaming-etl {__version__}\n")
    newest = re.search(r"^## (\d[\d.]*) - ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest and newest[1] == __version__


def test_the_package_has_the_same_version() -> None:
    """As setuptools reads pyproject.toml when it builds the wheel."""
    read = read_configuration(ROOT / "pyproject.toml", expand=True)
    assert read["project"]["version"] == __version__


def test_the_native_decoder_has_the_same_version() -> None:
    crate, wheel = (
        tomllib.loads((ROOT / "native" / name).read_text())
        for name in ("Cargo.toml", "pyproject.toml")
    )
    assert (crate["package"]["version"], wheel["project"]["version"]) == (__version__, __version__)
    locked = tomllib.loads((ROOT / "native" / "Cargo.lock").read_text())["package"]
    assert [p["version"] for p in locked if p["name"] == "streaming-etl-native"] == [__version__]


def test_validate_says_where_an_event_goes() -> None:
    done = run("validate", "--json", GOOD)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["lake"] == ("s3a://streaming-etl/lake/trip/pickup_location=041/year=2018/month=01/")
    assert (told["index"], told["id"]) == ("trip", "4071441")
    assert told["document"]["pickup_datetime"] == "2018-01-01T00:21:05.000Z"


def test_validate_says_why_an_event_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    bad = GOOD.replace('"vendor_id":1', '"vendor_id":"1"')
    file.write_text(f"{GOOD}\n{bad}\n")
    done = run("validate", "--json", str(file))
    assert done.returncode == 1
    told = json.loads(done.stdout.splitlines()[1])
    assert told["reason"] == "wrong_type"
    assert "vendor_id" in told["detail"]


def test_validate_reads_standard_input() -> None:
    done = run("validate", "-", given="not json\n")
    assert done.returncode == 1
    assert "invalid_json" in done.stdout


def test_validate_reads_a_large_file_and_counts_by_reason(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    watermark = '{"type":"watermark","watermark":"2018-01-01T00:00:00.000Z"}'
    odd = [GOOD.replace('"vendor_id":1', '"vendor_id":"1"'), watermark, "\x1b[2J"]
    file.write_text("".join(f"{line}\n" for line in [*[GOOD] * 2500, *odd]))
    done = run("validate", "--json", "--file", str(file))
    assert done.returncode == 1
    told = [json.loads(line) for line in done.stdout.splitlines()]
    [alone] = [json.loads(line) for line in run("validate", "--json", GOOD).stdout.splitlines()]
    assert told[:2500] == [{"at": f"{file}:{line}", **alone} for line in range(1, 2501)]
    assert [one["verdict"] for one in told[2500:]] == ["reject", "control", "reject"]
    assert done.stderr.splitlines()[-5:] == [
        "records: 2,503", "event: 2,500", "reject wrong_type: 1", "control: 1",
        "reject invalid_json: 1",
    ]  # fmt: skip

    only = run("validate", "--rejects", "--file", str(file))
    assert [line.split() for line in only.stdout.splitlines()[:2]] == [
        ["at", f"{file}:2501"], ["verdict", "reject"],
    ]  # fmt: skip
    assert only.stdout.count("verdict") == 2 and "\x1b" not in only.stdout
    assert "Traceback" not in only.stderr


def test_validate_tells_a_file_from_an_event(tmp_path: Path) -> None:
    missing = str(tmp_path / "evnts.ndjson")
    taken = run("validate", missing)
    assert taken.returncode == 1
    assert "is taken for an event: there is no file of that name" in taken.stderr
    for arguments, message in (
        (["--file", missing], f"{missing}: cannot be read (No such file or directory); give"),
        (["--file", str(tmp_path)], f"{tmp_path}: cannot be read (Is a directory); give a file"),
        ([], "nothing to validate: give EVENT as JSON, --file FILE, or - for lines."),
    ):
        done = run("validate", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
    given = run("validate", "--json", "--file", "-", given=f"{GOOD}\n")
    assert (given.returncode, json.loads(given.stdout)["at"]) == (0, "standard input:1")


@pytest.mark.parametrize("event", ["x" * 256, "x" * 5000, "/" + "x" * 300, "/tmp"])
def test_validate_takes_a_text_that_is_no_file_for_an_event(event: str) -> None:
    done = run("validate", event)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "invalid_json" in done.stdout


def test_validate_takes_any_bytes(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\xff\r\n" + GOOD.encode() + b"\r\n\x85\n")
    for arguments in (["-"], [str(file)]):
        done = subprocess.run(
            [*COMMAND, "validate", "--json", *arguments],
            input=file.read_bytes(), capture_output=True, cwd=ROOT, check=False,
        )  # fmt: skip
        verdicts = [json.loads(line)["verdict"] for line in done.stdout.splitlines()]
        assert (done.returncode, verdicts) == (1, ["reject", "event", "reject"])


def test_a_wrong_configuration_exits_with_2_before_anything_is_submitted(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("sauce:\n  kafka_topics: [x]\n")
    for command in (["config", "check"], ["config", "show"], ["plan"], ["run"]):
        done = run(*command, "--config", str(file))
        assert done.returncode == 2, command
        assert "section sauce is unknown; did you mean `source`?" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_folder_without_flink_is_told_before_anything_else(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLINK_HOME", str(tmp_path))
    done = run(command, "--config", str(tmp_path / "nowhere.yaml"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"streaming-etl: FLINK_HOME is '{tmp_path}', which is no Flink")
    assert done.stderr.count("\n") == 1


def test_state_can_be_dropped_only_where_a_choice_says_of_what() -> None:
    done = run("run", "--allow-dropped-state")
    assert done.returncode == 2
    assert "--allow-dropped-state needs --savepoint PATH" in done.stderr


def test_config_show_masks_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDEX_PASSWORD", "very-secret")
    file = tmp_path / "secret.yaml"
    file.write_text(
        "kafka: {bootstrap_servers: '127.0.0.1:1'}\n"
        "source: {kafka_topics: [t]}\n"
        "archive: {path: 's3a://bucket/a'}\n"
        "index: {url: 'https://h', auth: basic, username: u, password: '${env:INDEX_PASSWORD}'}\n"
    )
    done = run("config", "show", "--config", str(file))
    assert done.returncode == 0, done.stderr
    assert "very-secret" not in done.stdout
    assert "password: '********'" in done.stdout


@pytest.mark.parametrize(
    "command",
    ["run", "jobs", "stop", "cancel", "validate", "plan", "config show", "config check",
     "config reference", "schemas check"],
)  # fmt: skip
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = run(*command.split(), "--help")
    assert done.returncode == 0
    assert "Example: streaming-etl" in done.stdout


def test_every_command_that_tells_something_has_json() -> None:
    silent = {"plan", "config reference"}
    commands = dict(_commands())
    options = {
        name: {flag for param in found.params for flag in param.opts}
        for name, found in commands.items()
    }
    assert {name for name, found in options.items() if "--json" not in found} == silent
    assert all(
        command.epilog and command.epilog.startswith("Example: streaming-etl")
        for command in commands.values()
    )


def _commands() -> Iterator[tuple[str, Any]]:
    for name in COMMANDS:
        command = load(name)
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", each) for inner, each in command.commands.items())
        else:
            yield name, command


HEAVY = ("numpy", "pyarrow", "boto3", "confluent_kafka", "opensearchpy", "duckdb", "pyflink")


@pytest.mark.parametrize(
    "program",
    [
        "from typer.testing import CliRunner; from pipeline.cli import app;"
        " assert 'reconcile' in CliRunner().invoke(app, ['--help']).output",
        "from pipeline.cli import COMMANDS, load; assert [load(name) for name in COMMANDS]",
    ],
    ids=["of the program", "of each command"],
)
def test_help_imports_no_client_and_no_engine(program: str) -> None:
    told = f"import sys; {program}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_every_line_of_the_help_begins_as_the_command_s_own() -> None:
    for name, (_, line) in COMMANDS.items():
        own = " ".join((load(name).help or "").split())
        assert own.startswith(line.rstrip(".")), name
