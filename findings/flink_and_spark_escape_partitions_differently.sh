#!/usr/bin/env bash
# Flink and Spark write one partition value to two folders if it has a closing brace.
#
# Versions:  apache-flink 1.20.5, setuptools 75.8.0, pyspark 4.1.1, Python 3.11, Java 17
# Behaviour: both follow Hive's rule for values in paths and escape 45 characters of ASCII, but Flink
#            also escapes "}". So the value a}b is p=a%7Db for Flink's filesystem table and p=a}b for
#            Spark. Each reads both folders back as a}b. What replaces a partition by its folder does
#            not see the other's: after Spark's dynamic overwrite of a}b the rows of Flink are there
#            still, beside the new ones.
# Instead:   list a table's folders and unescape their names; never compute a folder from a value to
#            find what another engine wrote.
# Output:    "SEEN Flink ...", "SEEN Spark ..." with the folders, and the rows after the overwrite.
#            Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for name in flink spark; do python3.11 -m venv "$folder/$name"; done
options=(--quiet --disable-pip-version-check)
"$folder/flink/bin/pip" install "${options[@]}" setuptools==75.8.0
"$folder/flink/bin/pip" install "${options[@]}" apache-flink==1.20.5
"$folder/spark/bin/pip" install "${options[@]}" pyspark==4.1.1

cat > "$folder/flink.py" <<'PY'
import sys

from pyflink.table import EnvironmentSettings, TableEnvironment

tables = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
tables.execute_sql(
    "CREATE TABLE t (n INT, p STRING) PARTITIONED BY (p) WITH ('connector' = 'filesystem',"
    f" 'path' = 'file://{sys.argv[1]}', 'format' = 'csv')"
)
tables.execute_sql("INSERT INTO t VALUES (1, 'a}b'), (1, 'c{d')").wait()
PY
cat > "$folder/spark.py" <<'PY'
import sys

from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
rows = spark.createDataFrame([(2, "a}b"), (2, "c{d")], "n INT, p STRING")
rows.write.partitionBy("p").mode("overwrite").csv(sys.argv[1])
found = spark.read.schema("n INT, p STRING").csv(sys.argv[1]).orderBy("p", "n").collect()
print("SEEN rows", [(row.p, row.n) for row in found])
PY
folders() { find "$folder/table" -maxdepth 1 -name 'p=*' -printf '%f\n' | LC_ALL=C sort | xargs; }

"$folder/flink/bin/python" "$folder/flink.py" "$folder/table" > "$folder/flink.log" 2>&1 ||
  { cat "$folder/flink.log"; exit 1; }
echo "SEEN Flink $(folders)" | tee "$folder/seen"
"$folder/spark/bin/python" "$folder/spark.py" "$folder/table" 2> "$folder/spark.log" > "$folder/rows" ||
  { cat "$folder/spark.log"; exit 1; }
{ echo "SEEN Spark $(folders)"; cat "$folder/rows"; } | tee -a "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
SEEN Flink p=a%7Db p=c%7Bd
SEEN Spark p=a%7Db p=a}b p=c%7Bd
SEEN rows [('a}b', 1), ('a}b', 2), ('c{d', 2)]
EXPECTED
