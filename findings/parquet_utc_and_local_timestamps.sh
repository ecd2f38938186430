#!/usr/bin/env bash
# Parquet files of one table, some with timestamps "adjusted to UTC" and some without: DuckDB and
# Spark read them together, silently off by the zone's hours, or not at all.
#
# Versions:  duckdb 2.0.1, pyarrow 26.0.1, pyspark 4.1.1, Python 3.11; the machine in New York
# Behaviour: one instant is written twice, in UTC: in a file with isAdjustedToUTC=false, as Flink
#            1.20 writes it, and in one with true, as pyarrow does.
#            DuckDB takes the first file's type, or TIMESTAMP WITH TIME ZONE with union_by_name, and
#            converts the other file by the session's zone: the two are five hours apart, silently.
#            Spark takes one file's type; if that is TIMESTAMP_NTZ, a cast to an instant is off by
#            the zone's hours in both files. With mergeSchema it fails: the types do not merge.
#            pyarrow takes the first file's type and never converts: values are right, but what a
#            filter may compare with depends on the files' names.
# Instead:   DuckDB: SET TimeZone = 'UTC' (union_by_name for one type). Spark:
#            spark.sql.parquet.inferTimestampNTZ.enabled=false, which reads both as instants in any
#            session's zone. pyarrow: give the dataset a schema with timestamp("ms", tz="UTC").
# Output:    a line "SEEN <reader>, <first file>: <type>, hours off: <of each file>" per reader and
#            order of the files. Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  duckdb==2.0.1 pyarrow==26.0.1 pyspark==4.1.1
export TZ=America/New_York

cat > "$folder/readers.py" <<'PY'
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

root = Path(sys.argv[1])
NOON = 1_519_819_200_000  # 2018-02-28T12:00Z
spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1")
    .getOrCreate()
)
UTC = pa.schema([("moment", pa.timestamp("ms", tz="UTC"))])


def write(path, zone):
    times = pa.array([NOON], pa.timestamp("ms", tz=zone))
    pq.write_table(pa.table({"moment": times}), path, store_schema=False, version="2.6")


def by_duckdb(files, setup="", options=""):
    connection = duckdb.connect()
    connection.execute(setup or "SELECT 1")
    source = f"read_parquet('{files}/*'{options})"
    return connection.execute(f"SELECT typeof(moment), epoch_ms(moment::TIMESTAMPTZ) FROM {source}").fetchall()


def by_spark(files, infer, merge):
    spark.conf.set("spark.sql.parquet.inferTimestampNTZ.enabled", infer)
    try:
        read = spark.read.option("mergeSchema", merge).parquet(str(files))
        instants = read.selectExpr("unix_millis(CAST(moment AS TIMESTAMP)) AS moment").collect()
    except Py4JJavaError:
        return []
    return [(read.dtypes[0][1], row.moment) for row in instants]


def by_pyarrow(files, schema=None):
    column = ds.dataset(files, schema=schema).to_table()["moment"]
    return [(str(column.type), each.value) for each in column.combine_chunks()]


def seen(instants):
    if not instants:
        return "fails"
    (kind,) = {kind for kind, _ in instants}
    return f"{kind}, hours off: {sorted((instant - NOON) // 3_600_000 for _, instant in instants)}"


for order in ("old first", "new first"):
    files = root / order.split()[0]
    files.mkdir(parents=True)
    write(files / f"part-{order.startswith('new'):d}", None)
    write(files / f"part-{order.startswith('old'):d}", "UTC")
    answers = {
        "duckdb": by_duckdb(files),
        "duckdb union_by_name": by_duckdb(files, options=", union_by_name = true"),
        "duckdb UTC": by_duckdb(files, "SET TimeZone = 'UTC'"),
        "duckdb UTC union_by_name": by_duckdb(
            files, "SET TimeZone = 'UTC'", ", union_by_name = true"
        ),
        "spark": by_spark(files, "true", "false"),
        "spark mergeSchema": by_spark(files, "true", "true"),
        "spark no NTZ": by_spark(files, "false", "false"),
        "spark no NTZ mergeSchema": by_spark(files, "false", "true"),
        "pyarrow": by_pyarrow(files),
        "pyarrow schema": by_pyarrow(files, UTC),
    }
    for reader, instants in answers.items():
        print(f"SEEN {reader}, {order}: {seen(instants)}")
PY

seen=$("$folder/venv/bin/python" "$folder/readers.py" "$folder/files" 2>"$folder/errors" | grep SEEN) || {
  cat "$folder/errors" >&2
  exit 1
}
echo "$seen"
expect() { grep -qxF "SEEN $1" <<<"$seen" || { echo "changed: no line '$1'" >&2; exit 1; }; }
for order in "old first" "new first"; do
  for options in "" " union_by_name"; do
    grep -qx "SEEN duckdb$options, $order: .*, hours off: \[0, 5\]" <<<"$seen" || exit 1
    grep -qx "SEEN duckdb UTC$options, $order: .*, hours off: \[0, 0\]" <<<"$seen" || exit 1
  done
  expect "spark mergeSchema, $order: fails"
  expect "spark no NTZ, $order: timestamp, hours off: [0, 0]"
  expect "spark no NTZ mergeSchema, $order: timestamp, hours off: [0, 0]"
  expect "pyarrow schema, $order: timestamp[ms, tz=UTC], hours off: [0, 0]"
done
expect "spark, old first: timestamp_ntz, hours off: [5, 5]"
expect "spark, new first: timestamp, hours off: [0, 0]"
expect "pyarrow, old first: timestamp[ms], hours off: [0, 0]"
