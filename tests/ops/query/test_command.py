"""`streaming-etl query`: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import csv
import io
import os
import pty
import signal
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from tests.interrupt import HEARS_CTRL_C
from tests.ops.compact.lakes import TRIPS, Lakes
from tests.ops.query.command import Query, refusal, rows

EVIL = 'tab\t, "quoted"\x1b[31m\nnext'
ENDLESS = "SELECT count(*) FROM trip, range(100_000_000_000) AS t(n) WHERE hash(n) % 7 = 3"


def test_a_table_is_aligned_and_says_how_many_rows_it_has(local_query: Query) -> None:
    sql = "SELECT * FROM (VALUES (1, 'a', true), (100, NULL, false)) AS t(number, text, yes)"
    done = local_query.process(sql)
    assert (done.returncode, done.stderr.startswith("running the query: done in ")) == (0, True)
    assert done.stdout.splitlines() == [
        "number  text  yes",
        "------  ----  -----",
        "     1  a     true",
        "   100  NULL  false",
        "(2 rows)",
    ]


def test_a_table_ends_where_it_is_asked_to(local_query: Query) -> None:
    many = "SELECT n FROM range(100_000_000_000) AS t(n)"
    lines = local_query.printed(many).splitlines()
    assert len(lines) == 103
    assert lines[-1] == "(100 rows, and there are more: --limit N, --csv, --json)"
    assert local_query.printed(many, "--limit", "2").splitlines()[2:4] == ["0", "1"]
    assert local_query.printed(many, "--limit", "2", "--csv") == "n\n0\n1\n"
    assert local_query.rows(many, "--limit", "2") == [{"n": 0}, {"n": 1}]
    assert local_query.printed("SELECT 1 AS n", "--limit", "1").endswith("(1 row)\n")


def test_programs_get_every_row_as_it_is(local: Lakes, local_query: Query) -> None:
    local.write("part-0", range(2_500), {"beyond": pa.array([EVIL] * 2_500)})
    ask = "SELECT source_offset AS n, beyond, NULL AS nothing, '' AS empty FROM trip ORDER BY n"
    printed = local_query.printed(ask, "--csv")
    found = list(csv.reader(io.StringIO(printed, newline="")))
    assert found == [["n", "beyond", "nothing", "empty"]] + [
        [str(number), EVIL, "", ""] for number in range(2_500)
    ]
    assert printed.splitlines()[-1].endswith(',,""')
    assert local_query.rows(ask)[2_499] == {
        "n": 2_499, "beyond": EVIL, "nothing": None, "empty": ""
    }  # fmt: skip


def test_no_control_character_reaches_a_terminal(local: Lakes, local_query: Query) -> None:
    local.write("part-0", [1], {"beyond": pa.array([EVIL])})
    ask = 'SELECT beyond AS "a\x1bb" FROM trip'
    for words in ([], ["--csv"], ["--json"]):
        shown = on_terminal(local_query, ask, *words)
        assert "\x1b" not in shown and "quoted" in shown
    assert "\x1b" not in local_query.printed(ask)


def test_a_row_that_is_wider_than_the_terminal_is_a_block_of_lines(
    local: Lakes, local_query: Query
) -> None:
    local.write("part-0", [7])
    shown = [line.split() for line in on_terminal(local_query, "FROM trip").splitlines()]
    assert ["row", "1"] in shown
    assert ["source_offset", "7"] in shown
    assert ["pickup_location", "041"] in shown


def test_a_mistake_in_the_sql_is_one_line(local: Lakes, local_query: Query) -> None:
    assert local_query.refusal("SELECT foo FROM trip").startswith(
        'Binder Error: Referenced column "foo" not found in FROM clause! Candidate bindings: '
    )
    assert refusal(local, "SELECT 1,\n2 +\nFROM") == (
        'Parser Error: syntax error at or near "FROM" (line 3)'
    )
    assert "does not exist" in refusal(local, "FROM nowhere")
    assert "\x1b" not in refusal(local, "SELECT '\x1b[31m'::INT AS n")


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW trip",
        "CREATE TABLE mine (n INT)",
        "COPY trip TO 'rows.csv'",
        "ATTACH 'my.db'",
        "INSTALL httpfs",
        "SET threads = 1",
        "PRAGMA database_list",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW trip",
        "",
        "-- nothing",
    ],
)
def test_what_is_not_one_select_is_refused(local: Lakes, sql: str) -> None:
    assert "give one SELECT (or FROM, WITH, VALUES, DESCRIBE, SUMMARIZE)" in refusal(local, sql)


@pytest.mark.parametrize(
    "source",
    [
        "read_text('{file}')",
        "read_csv('{file}')",
        "read_parquet('{file}')",
        "read_blob('/etc/*')",
        "glob('/*')",
        "'{file}'",
        "read_csv('http://127.0.0.1:1/x.csv')",
        "read_csv('s3://bucket/x.csv')",
        "duckdb_secrets()",
        "os",
    ],
)
def test_nothing_but_the_lake_can_be_read(local: Lakes, tmp_path: Path, source: str) -> None:
    private = tmp_path / "private.csv"
    private.write_text("a,b\n1,secret word\n")
    told = refusal(local, f"FROM {source.format(file=private)}")
    assert "Permission Error" in told or "does not exist" in told
    assert "secret word" not in told


def test_options_that_would_be_ignored_are_refused(local_query: Query) -> None:
    assert local_query.refusal("--csv").startswith("--csv needs SQL to run")
    assert local_query.refusal("--limit", "3").startswith("--limit needs SQL to run")
    assert local_query.refusal("SELECT 1", "--csv", "--json") == "give --csv or --json, not both."
    done = local_query.run("SELECT 1", "--limit", "0")
    assert done.returncode == 2 and "--limit" in done.stderr


def test_columns_of_one_name_have_no_json(local_query: Query) -> None:
    assert "several columns are called a; give each a name with AS" in local_query.refusal(
        "SELECT 1 AS a, 2 AS a", "--json"
    )
    assert local_query.printed("SELECT 1 AS a, 2 AS a", "--csv") == "a,a\n1,2\n"


def test_tables_are_opened_in_any_way_that_sql_names_them(local: Lakes) -> None:
    local.write("part-0", [1])
    for sql in (
        "SELECT count(*) AS n FROM TRIP",
        'SELECT count(*) AS n FROM main."trip"',
        "WITH t AS (FROM trip) SELECT count(*) AS n FROM t",
        "SELECT count(*) AS n FROM trip JOIN trip AS other USING (trip_id)",
        "SELECT count(*) AS n FROM query_table('trip')",
    ):
        assert rows(local, sql) == [{"n": 1}], sql
    assert "the table trip was not opened; name it in the SQL" in refusal(
        local, "FROM query_table('tr' || 'ip')"
    )


def test_a_damaged_file_is_named_by_its_address(lakes: Lakes) -> None:
    lakes.store.write(f"{TRIPS}/part-0", b"PAR1 and no more PAR1")
    told = refusal(lakes, "FROM trip")
    assert f"{lakes.uri}/{TRIPS}/part-0" in told


def test_a_configuration_without_a_lake_is_refused(local_query: Query) -> None:
    path = local_query.folder / "my.yaml"
    lines = path.read_text().replace("lake:", "archive:")
    path.write_text(lines)
    assert "the configuration has no lake" in local_query.refusal("SELECT 1")


@pytest.mark.parametrize("words", [[ENDLESS], ["FROM trip, range(100_000_000_000)", "--csv"]])
def test_ctrl_c_ends_it_without_a_trace(
    local: Lakes, local_query: Query, tmp_path: Path, words: list[str]
) -> None:
    local.write("part-0", [1])
    spill = tmp_path / "spill"
    spill.mkdir()
    with subprocess.Popen(
        [*HEARS_CTRL_C, *local_query.command(*words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**local_query.environment, "TMPDIR": str(spill)},
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stderr.readline().startswith("opening trip: done")
        if "--csv" in words:
            assert process.stdout.readline().startswith("trip_id,")
        assert len(list(spill.iterdir())) == 1
        process.send_signal(signal.SIGINT)
        try:
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in told
    assert list(spill.iterdir()) == []


def on_terminal(query: Query, *words: str) -> str:
    """What the program prints on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    environment = {**query.environment, "COLUMNS": "80"}
    with subprocess.Popen(
        query.command(*words),
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        cwd=query.folder,
        env=environment,
    ):
        os.close(theirs)
        printed = b""
        while chunk := _read(ours):
            printed += chunk
    os.close(ours)
    return printed.decode()


def _read(terminal: int) -> bytes:
    """The next bytes; none when the program has ended, which Linux reports as an error."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""
