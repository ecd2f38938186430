#!/usr/bin/env bash
# The type of a zero-padded Hive partition value, such as zone=041, depends on the reader, and in
# DuckDB on which other folders exist.
#
# Versions:  duckdb 2.0.1, polars 2.1.0, pyarrow 26.0.1, pyspark 4.1.1, Python 3.11
# Behaviour: for folders zone=041 and zone=132, pyarrow, Polars and Spark answer the numbers 41 and
#            132; DuckDB answers the strings '041' and '132'. For folders zone=132 and zone=230
#            alone DuckDB answers BIGINT: a query that compares with '041' breaks or works by the
#            folders that happen to be there (a filter may even leave only such folders).
# Instead:   declare the type: hive_types (DuckDB), hive_schema (Polars), partitioning with a schema
#            (pyarrow), a schema or partitionColumnTypeInference.enabled=false (Spark; all
#            partition columns then become strings).
# Output:    a line "SEEN ..." per reader and set of folders. Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1 pyspark==4.1.1

cat > "$folder/readers.py" <<'PY'
import sys
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

root = Path(sys.argv[1])
spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1")
    .getOrCreate()
)
INFERENCE = "spark.sql.sources.partitionColumnTypeInference.enabled"


def lake(*zones):
    path = root / "-".join(zones)
    for zone in zones:
        (path / f"zone={zone}").mkdir(parents=True)
        pq.write_table(pa.table({"trip": [1]}), path / f"zone={zone}" / "part-0.parquet")
    return path


def by_duckdb(path, options=""):
    source = f"read_parquet('{path}/**/*.parquet', hive_partitioning = true{options})"
    return [zone for (zone,) in duckdb.sql(f"SELECT zone FROM {source}").fetchall()]


def by_spark(path, inference):
    spark.conf.set(INFERENCE, inference)
    return [row.zone for row in spark.read.parquet(str(path)).collect()]


def by_pyarrow(path, partitioning):
    return ds.dataset(path, partitioning=partitioning).to_table()["zone"].to_pylist()


for path in (lake("041", "132"), lake("132", "230")):
    text = pa.schema([("zone", pa.string())])
    answers = {
        "duckdb": by_duckdb(path),
        "duckdb hive_types": by_duckdb(path, ", hive_types = {'zone': VARCHAR}"),
        "polars": pl.read_parquet(path, hive_partitioning=True)["zone"].to_list(),
        "polars hive_schema": pl.read_parquet(path, hive_schema={"zone": pl.String})["zone"].to_list(),
        "pyarrow": by_pyarrow(path, "hive"),
        "pyarrow schema": by_pyarrow(path, ds.partitioning(text, flavor="hive")),
        "spark": by_spark(path, "true"),
        "spark no inference": by_spark(path, "false"),
    }
    for reader, zones in answers.items():
        print(f"SEEN {path.name} {reader}: {sorted(zones)}")
PY

seen=$("$folder/venv/bin/python" "$folder/readers.py" "$folder/lakes" 2>"$folder/errors" | grep SEEN) || {
  cat "$folder/errors" >&2
  exit 1
}
echo "$seen"
expect() { grep -qxF "SEEN $1" <<<"$seen" || { echo "changed: no line '$1'" >&2; exit 1; }; }
expect "041-132 duckdb: ['041', '132']"
expect "132-230 duckdb: [132, 230]"
for reader in polars pyarrow spark; do
  expect "041-132 $reader: [41, 132]"
done
for reader in "duckdb hive_types" "polars hive_schema" "pyarrow schema" "spark no inference"; do
  expect "041-132 $reader: ['041', '132']"
  expect "132-230 $reader: ['132', '230']"
done
