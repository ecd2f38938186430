"""A savepoint of version 0.1 or 0.2 is refused before anything is submitted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connectors.errors import UserError
from connectors.flink.savepoint import METADATA, operator_id
from pipeline import earlier
from pipeline.config import load as load_config
from pipeline.config.model import Config
from tests.config.test_config import check

GOLDEN = Path(__file__).parent / "data" / "golden"
OLD = sorted(path.parent for path in GOLDEN.glob(f"savepoint-0.[12].*/savepoints/*/{METADATA}"))


def refuse(snapshot: str, config: Config | None = None) -> None:
    config = config or check()
    earlier.refuse(snapshot, config, load_config.event_types(config), {})


def taken(folder: Path, *uids: str) -> str:
    """Write the metadata of a snapshot with operators of these uids; return its address."""
    (folder / METADATA).write_bytes(b"before" + b"-".join(map(operator_id, uids)) + b"after")
    return f"file://{folder}"


@pytest.mark.parametrize("kept", OLD, ids=lambda path: path.parts[-3])
@pytest.mark.parametrize("end", ["", "/", f"/{METADATA}"])
def test_a_savepoint_of_an_earlier_version_is_refused_with_the_way(kept: Path, end: str) -> None:
    with pytest.raises(UserError) as raised:
        refuse(f"file://{kept}{end}")
    for words in (
        f"file://{kept}{end} is of version 0.1 or 0.2",
        "with --allow-dropped-state neither",
        "set source.kafka_start to committed",
        "--fresh",
        "the group streaming-etl",
        "docs/upgrade.md",
    ):
        assert words in str(raised.value)


def test_who_starts_at_committed_offsets_need_not_set_that() -> None:
    with pytest.raises(UserError, match="commits all files; then start this one with --fresh"):
        refuse(f"file://{OLD[0]}", check(source={"kafka_start": "committed"}))


@pytest.mark.parametrize("step", ["archive", "dead_letters", "lake_trip", "lake_scooter_trip"])
def test_one_file_sink_is_enough(step: str, tmp_path: Path) -> None:
    """Also one of an event type that only the configuration knows."""
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    text = (Path(__file__).parents[1] / "schemas" / "fhv_trip.avsc").read_text()
    (schemas / "scooter_trip.avsc").write_text(text.replace("fhv_trip", "scooter_trip"))
    config = check(decode={"schemas": str(schemas)})
    with pytest.raises(UserError, match=f"the state of {step}"):
        refuse(taken(tmp_path, "records_kafka", f"{step}-end"), config)


@pytest.mark.parametrize(
    "uids",
    [
        ("records_kafka", "decode", "collect", "lake-files", "Sink Committer: lake-files"),
        ("records_kafka", "archive", "Sink Committer: archive", "large_archive-end"),
    ],
)
def test_one_of_this_version_is_not(uids: tuple[str, ...], tmp_path: Path) -> None:
    refuse(taken(tmp_path, *uids))


@pytest.mark.parametrize("snapshot", ["file:///not/there", "hdfs://host/savepoint", "/folder"])
def test_what_we_cannot_read_is_left_to_flink(snapshot: str) -> None:
    refuse(snapshot)


def test_the_whole_start_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the outside systems are asked."""
    from pipeline.submit import check as check_start

    folder = tmp_path / "savepoint"
    shutil.copytree(OLD[-1], folder)
    with pytest.raises(UserError, match="is of version 0.1 or 0.2"):
        check_start(check(), {}, savepoint=f"file://{folder}")
