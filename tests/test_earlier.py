"""A savepoint of version 0.1 or 0.2 is refused before anything is submitted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connectors.errors import UserError
from connectors.flink.savepoint import METADATA, operator_id
from pipeline import earlier
from pipeline.config import load as load_config
from pipeline.events.event_types import EventTypes
from tests.config.test_config import check

GOLDEN = Path(__file__).parent / "data" / "golden"
OLD = sorted(path.parent for path in GOLDEN.glob(f"savepoint-0.[12].*/savepoints/*/{METADATA}"))


def refuse(snapshot: str, types: EventTypes | None = None, *, dropping: bool = False) -> None:
    types = types or load_config.event_types(check())
    earlier.refuse(snapshot, types, {}, allow_dropped_state=dropping)


def taken(folder: Path, *uids: str, kind: str = "Suspend Savepoint") -> str:
    """Write the metadata of a snapshot with operators of these uids; return its address."""
    ids = b"-".join(map(operator_id, uids))
    (folder / METADATA).write_bytes(kind.encode() + ids + b"after")
    return f"file://{folder}"


@pytest.mark.parametrize("kept", OLD, ids=lambda path: path.parts[-3])
@pytest.mark.parametrize("end", ["", "/", f"/{METADATA}"])
def test_a_savepoint_of_an_earlier_version_is_refused_with_the_way(kept: Path, end: str) -> None:
    with pytest.raises(UserError) as raised:
        refuse(f"file://{kept}{end}")
    for words in (
        f"file://{kept}{end} is of version 0.1 or 0.2",
        "archive, dead_letters, lake_fhv_trip",
        "all its files are committed",
        "--allow-dropped-state",
        "docs/upgrade.md",
    ):
        assert words in str(raised.value)
    refuse(f"file://{kept}{end}", dropping=True)


@pytest.mark.parametrize("kind", ["Checkpoint", "Savepoint"])
@pytest.mark.parametrize("dropping", [False, True])
def test_one_that_the_job_did_not_stop_with_is_refused_whatever_is_allowed(
    kind: str, dropping: bool, tmp_path: Path
) -> None:
    snapshot = taken(tmp_path, "archive-end", kind=kind)
    with pytest.raises(UserError, match="files that are not committed.* stop it by its"):
        refuse(snapshot, dropping=dropping)


@pytest.mark.parametrize("step", ["archive", "dead_letters", "lake_trip", "lake_scooter_trip"])
def test_one_file_sink_is_enough(step: str, tmp_path: Path) -> None:
    """Also one of an event type that only the configuration knows."""
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    text = (Path(__file__).parents[1] / "schemas" / "fhv_trip.avsc").read_text()
    (schemas / "scooter_trip.avsc").write_text(text.replace("fhv_trip", "scooter_trip"))
    config = check(decode={"schemas": str(schemas)})
    with pytest.raises(UserError, match=f"the state of {step}, which"):
        refuse(taken(tmp_path, "records_kafka", f"{step}-end"), load_config.event_types(config))


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
