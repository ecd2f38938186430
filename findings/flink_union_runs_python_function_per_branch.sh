#!/usr/bin/env bash
# Flink plans a Python function behind a UNION ALL once or per branch, as other statements decide.
#
# Versions:  apache-flink 1.20.5, pandas 2.2.3, numpy 1.24.4, setuptools 75.8.0, Python 3.11, Java 17
# Behaviour: `merged` is a UNION ALL of two tables, and one statement calls a pandas function on it. If
#            only this statement reads `merged`, the planner moves the call into each branch: two
#            PythonCalc. If a second statement of the StatementSet reads `merged`, even with no
#            function, the union is planned by itself and one PythonCalc stands behind it. So adding
#            or removing a sink changes the number of Python operators of another one. The second
#            reader must share `merged` itself: two readers of the function's result give two
#            PythonCalc, and so does a view made by CREATE VIEW, which each statement expands anew
#            unless table.optimizer.reuse-optimize-block-with-digest-enabled is on.
# Instead:   make the view by create_temporary_view(name, sql_query(...)), and keep a second statement
#            that reads it in each variant of the job.
# Known:     table.optimizer.union-all-as-breakpoint-enabled, on by default, is what splits the plan
#            at a union that two statements read; its description names no effect on functions:
#            https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/dev/table/config/
# Output:    a line "SEEN ..." per case with the number of PythonCalc; no job runs. Exits 1 if the
#            behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" setuptools==75.8.0
"${pip[@]}" apache-flink==1.20.5 pandas==2.2.3 numpy==1.24.4

cat > "$folder/explain.py" <<'PY'
import sys

from pyflink.table import DataTypes, EnvironmentSettings, TableEnvironment
from pyflink.table.udf import udf

UNION = "SELECT n FROM a UNION ALL SELECT n FROM b"
CALL = "INSERT INTO first_sink SELECT text_of(n) FROM merged"
PLAIN = "INSERT INTO second_sink SELECT CAST(n AS STRING) FROM merged"
DECODED = "INSERT INTO {} SELECT x FROM decoded"
BREAKPOINT = "table.optimizer.union-all-as-breakpoint-enabled"
DIGEST = "table.optimizer.reuse-optimize-block-with-digest-enabled"


def operators(*statements, create_view=False, **options):
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for key, value in options.items():
        tables.get_config().set(key, value)
    text_of = udf(lambda n: n.astype(str), result_type=DataTypes.STRING(), func_type="pandas")
    tables.create_temporary_function("text_of", text_of)
    for name in ("a", "b"):
        tables.execute_sql(f"CREATE TABLE {name} (n BIGINT) WITH ('connector' = 'datagen')")
    for name in ("first_sink", "second_sink"):
        tables.execute_sql(f"CREATE TABLE {name} (x STRING) WITH ('connector' = 'blackhole')")
    if create_view:
        tables.execute_sql(f"CREATE TEMPORARY VIEW merged AS {UNION}")
    else:
        tables.create_temporary_view("merged", tables.sql_query(UNION))
    decoded = tables.sql_query("SELECT text_of(n) AS x FROM merged")
    tables.create_temporary_view("decoded", decoded)
    together = tables.create_statement_set()
    for statement in statements:
        together.add_insert_sql(statement)
    plan = together.explain().split("== Optimized Execution Plan ==")[1]
    return plan.count("PythonCalc(")


EXPECTED = {
    "one statement reads the union": 2,
    "two statements read the union, one calls the function": 1,
    "the same, without the breakpoint at unions": 2,
    "two statements read the function's result": 2,
    "two statements read the union, made by CREATE VIEW": 2,
    "the same, with reuse by digest": 1,
}
results = (
    operators(CALL),
    operators(CALL, PLAIN),
    operators(CALL, PLAIN, **{BREAKPOINT: "false"}),
    operators(DECODED.format("first_sink"), DECODED.format("second_sink")),
    operators(CALL, PLAIN, create_view=True),
    operators(CALL, PLAIN, create_view=True, **{DIGEST: "true"}),
)
seen = dict(zip(EXPECTED, results))
for case, number in seen.items():
    print(f"SEEN {case}: {number} PythonCalc")
sys.exit(seen != EXPECTED)
PY
export FLINK_LOG_DIR="$folder/log"
mkdir "$FLINK_LOG_DIR"
PATH="$folder/venv/bin:$PATH" timeout 300 "$folder/venv/bin/python" "$folder/explain.py" 2>"$folder/err" \
  || { cat "$folder/err" >&2; exit 1; }
