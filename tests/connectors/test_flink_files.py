"""Our Java classes around Flink's sink of files: cells are split, and each row is one file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dev.servers.setup import setup
from pipeline.collect.stream import END, TICK, Stream, pack

ROOT = Path(__file__).parents[2]
PROBE = Path(__file__).with_name("Files.java")
DAMAGED = "a cell of streams is damaged"


def probe(*arguments: str, program: Path = PROBE) -> subprocess.CompletedProcess[str]:
    """Run the probe from its source, or as a class in the folder that is `program`."""
    path = class_path()
    main = [path, str(program)] if program == PROBE else [f"{path}:{program}", PROBE.stem]
    return subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", *main, *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def class_path() -> str:
    cache = setup(ROOT, say=print)
    return f"{cache.connectors_jar}:{cache.flink_home}/lib/*"


def test_java_splits_what_python_packs() -> None:
    streams = [Stream("lake/3", b"one" * 1000), Stream("dead_letters/0", b""), Stream("é/1", b"\0")]
    packed = pack(streams)
    assert packed is not None
    shown = probe("split", packed.hex()).stdout.splitlines()
    assert shown == [f"{key} {data.hex()}" for key, data in streams]


@pytest.mark.parametrize("cell", ["000000ff", "ffffffff", "0000"])
def test_a_damaged_cell_is_refused(cell: str) -> None:
    assert DAMAGED in probe("split", cell).stderr


def test_a_key_gets_ticks_and_an_end_after_its_streams(tmp_path: Path) -> None:
    # Flink can't load a function of a program that runs from its source.
    subprocess.run(["javac", "-cp", class_path(), "-d", str(tmp_path), str(PROBE)], check=True)
    done = probe("ticks", "lake/3", b"a stream".hex(), program=tmp_path)
    assert done.returncode == 0, done.stderr
    data = (b"a stream", TICK, END)
    assert done.stdout.splitlines() == [f"lake/3 {each.hex()}" for each in data]


def test_each_row_is_one_file_in_its_folder(tmp_path: Path) -> None:
    rows = {"a/b=1": ("first", "second"), "a/b=2": ("third",)}
    files = [part for folder, texts in rows.items() for text in texts for part in (folder, text)]
    arguments = [part.encode().hex() if at % 2 else part for at, part in enumerate(files)]
    done = probe("write", f"file://{tmp_path}", *arguments)
    assert done.returncode == 0, done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.name.startswith("part-") for path in written)
    assert {path.suffix for path in written} == {".parquet"}
    found = sorted((str(path.parent.relative_to(tmp_path)), path.read_text()) for path in written)
    assert found == sorted((folder, text) for folder, texts in rows.items() for text in texts)


def test_success_is_written_into_each_folder_of_files(tmp_path: Path) -> None:
    done = probe("success", f"file://{tmp_path}", "a/b=1", "00", "a/b=2", "01")
    assert done.returncode == 0, done.stderr
    markers = list(tmp_path.rglob("_SUCCESS"))
    assert {str(path.parent.relative_to(tmp_path)) for path in markers} == {"a/b=1", "a/b=2"}
    assert {path.stat().st_size for path in markers} == {0}
    assert len(list(tmp_path.rglob("part-*.parquet"))) == 2


@pytest.mark.parametrize("folder", ["/etc", "a/../../up"])
def test_no_file_is_written_outside_of_the_path(tmp_path: Path, folder: str) -> None:
    done = probe("write", f"file://{tmp_path}/in", folder, "00")
    assert done.returncode != 0
    assert "a file's folder is not below the sink's path" in done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
