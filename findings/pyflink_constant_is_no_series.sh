#!/usr/bin/env bash
# PyFlink passes a constant to a pandas function as a plain value, not as a Series of the batch.
#
# Versions:  apache-flink 1.20.5, pandas 2.2.3, numpy 1.24.4, setuptools 75.8.0, Python 3.11, Java 17
# Behaviour: a scalar function with func_type="pandas" gets a literal as str, int and so on, and NULL
#            as None. What counts is what the planner folds, not what the query says: a view's column
#            that is CAST(NULL AS STRING) comes as None, and a true column comes as str under
#            WHERE k = '1'. So a function that works on one table raises AttributeError on another.
#            A constant as the first argument fails after the call, as PyFlink compares the result's
#            length with len(first argument). A constant of bytes cannot be planned at all. With a
#            UNION ALL of both kinds of table one statement gets None from one and a Series from the
#            other; if two statements read it, the function runs behind it and gets Series only.
# Instead:   pass a column that is never constant first, and let the function repeat each argument
#            that is no Series: np.full(len(first), argument, object).
# Known:     the documentation says "take pandas.Series as the inputs", and names no exception:
#            https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/dev/python/table/udfs/vectorized_python_udfs/
# Output:    a line "SEEN ..." per query with the types of the arguments, or the error. Exits 1 if the
#            behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" setuptools==75.8.0
"${pip[@]}" apache-flink==1.20.5 pandas==2.2.3 numpy==1.24.4

cat > "$folder/job.py" <<'PY'
import re

import pandas as pd
from pyflink.table import DataTypes, EnvironmentSettings, TableEnvironment
from pyflink.table.udf import udf


def kinds(*arguments):
    rows = max(len(each) for each in arguments if isinstance(each, pd.Series))
    return pd.Series([", ".join(type(each).__name__ for each in arguments)] * rows)


def missing(n, k):
    return k.isna().astype(str)


tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
tables.get_config().set("parallelism.default", "1")
for function in (kinds, missing):
    pandas = udf(function, result_type=DataTypes.STRING(), func_type="pandas")
    tables.create_temporary_function(function.__name__, pandas)
one_to_two = "'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '2'"
for name in ("a", "b"):
    tables.execute_sql(f"CREATE TABLE {name} (n BIGINT) WITH ('connector' = 'datagen', {one_to_two})")
for name, select in {
    "keyed": "SELECT n, CAST(n AS STRING) AS k FROM a",
    "keyless": "SELECT n, CAST(NULL AS STRING) AS k FROM b",
    "merged": "SELECT * FROM keyed UNION ALL SELECT * FROM keyless",
}.items():
    tables.create_temporary_view(name, tables.sql_query(select))


def outcome(select):
    try:
        with tables.execute_sql(select).collect() as rows:
            return " / ".join(sorted({row[0] for row in rows}))
    except Exception as error:
        return re.sub(r"\d+", "N", re.findall(r"\w+(?:Error|Exception): .*", str(error))[-1])


for select in (
    "SELECT kinds(n, k) FROM keyed",
    "SELECT kinds(n, 'x') FROM keyed",
    "SELECT kinds(n, k) FROM keyless",
    "SELECT kinds(n, k) FROM keyed WHERE k = '1'",
    "SELECT missing(n, k) FROM keyed",
    "SELECT missing(n, k) FROM keyless",
    "SELECT kinds('example', n) FROM keyed",
    "SELECT kinds(k, n) FROM keyless",
    "SELECT kinds(n, x'AB') FROM keyed",
    "SELECT kinds(n, k) FROM merged",
):
    print(f"SEEN {select}: {outcome(select)}", flush=True)

for name, options in (
    ("printed", "'connector' = 'print', 'print-identifier' = 'SEEN merged, read by two statements'"),
    ("unused", "'connector' = 'blackhole'"),
):
    tables.execute_sql(f"CREATE TABLE {name} (k STRING) WITH ({options})")
two = tables.create_statement_set()
two.add_insert_sql("INSERT INTO printed SELECT kinds(n, k) FROM merged")
two.add_insert_sql("INSERT INTO unused SELECT k FROM merged")
two.execute().wait()
PY
export FLINK_LOG_DIR="$folder/log"
mkdir "$FLINK_LOG_DIR"
seen=$(PATH="$folder/venv/bin:$PATH" timeout 600 "$folder/venv/bin/python" "$folder/job.py" 2>"$folder/err" | uniq) \
  || { cat "$folder/err" >&2; exit 1; }
echo "$seen"

expected=$(cat <<'TEXT'
SEEN SELECT kinds(n, k) FROM keyed: Series, Series
SEEN SELECT kinds(n, 'x') FROM keyed: Series, str
SEEN SELECT kinds(n, k) FROM keyless: Series, NoneType
SEEN SELECT kinds(n, k) FROM keyed WHERE k = '1': Series, str
SEEN SELECT missing(n, k) FROM keyed: False
SEEN SELECT missing(n, k) FROM keyless: AttributeError: 'NoneType' object has no attribute 'isna'
SEEN SELECT kinds('example', n) FROM keyed: AssertionError: The result length 'N' of Pandas UDF 'kinds' is not equal to the input length 'N'
SEEN SELECT kinds(k, n) FROM keyless: TypeError: object of type 'NoneType' has no len()
SEEN SELECT kinds(n, x'AB') FROM keyed: RuntimeException: Unsupported type BINARY
SEEN SELECT kinds(n, k) FROM merged: Series, NoneType / Series, Series
SEEN merged, read by two statements> +I[Series, Series]
TEXT
)
[ "$seen" = "$expected" ] || { echo "changed: expected"$'\n'"$expected" >&2; exit 1; }
