#!/usr/bin/env bash
# Trino's Hive connector reads a Parquet time of day in milliseconds as no type at all, and so fails
# every SELECT * of such a table. In microseconds it is a bigint.
#
# Versions:  Trino 435 (the last for Java 17), pyarrow 26.0.1, Python 3.11
# Behaviour: Hive has no time of day, so a column of Parquet's TIME(MILLIS), an INT32, is declared as
#            another type. int, bigint, date, timestamp and string all fail with "Unsupported Trino
#            column type". TIME(MICROS), an INT64, is read as bigint. A query that does not ask for
#            the column works.
# Instead:   leave the column, or the member, out of the table; or write microseconds.
# Output:    a line "SEEN <column> as <type>: ..." for each. Exits 1 if the behaviour has changed.
set -euo pipefail
trino=$(cd "$(dirname "$0")/../tests/deploy/athena/trino" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mvn -q -B package -f "$trino/pom.xml" -Djars="$folder/jars"
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1

cat > "$folder/make.py" <<'PY'
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

folder = Path(sys.argv[1])
place = folder / "bucket" / "t"
place.mkdir(parents=True)
millis, micros = pa.array([1000], pa.time32("ms")), pa.array([1000], pa.time64("us"))
pq.write_table(pa.table({"n": [7], "millis": millis, "micros": micros}), place / "part-0")
hive = "org.apache.hadoop.hive.ql.io.parquet"
tables, queries = [], []


def ask(name, columns, sql):
    tables.append(
        {
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE"},
            "PartitionKeys": [],
            "StorageDescriptor": {
                "Columns": [{"Name": column, "Type": kind} for column, kind in columns.items()],
                "Location": "local:///t/",
                "InputFormat": f"{hive}.MapredParquetInputFormat",
                "OutputFormat": f"{hive}.MapredParquetOutputFormat",
                "SerdeInfo": {"SerializationLibrary": f"{hive}.serde.ParquetHiveSerDe"},
            },
        }
    )
    queries.append(sql)


for kind in ("int", "bigint", "date", "timestamp", "string"):
    ask(f"t_{kind}", {"n": "bigint", "millis": kind}, f"SELECT * FROM t_{kind}")
ask("t_micros", {"micros": "bigint"}, "SELECT * FROM t_micros")
ask("t_others", {"n": "bigint", "millis": "int"}, "SELECT n FROM t_others")
(folder / "given.json").write_text(json.dumps({"tables": tables, "queries": queries}))
PY
"$folder/venv/bin/python" "$folder/make.py" "$folder"
java --add-opens=java.base/java.nio=ALL-UNNAMED -cp "$folder/jars/*:$folder/jars/trino-hive-435/*" \
  "$trino/Queries.java" "$folder/bucket" "$folder/given.json" > "$folder/answers" 2> "$folder/log" ||
  { tail "$folder/log"; exit 1; }

cat > "$folder/tell.py" <<'PY'
import json
import sys

answers = [json.loads(line[7:]) for line in open(sys.argv[1]) if line.startswith("ANSWER ")]
names = [f"millis as {kind}" for kind in ("int", "bigint", "date", "timestamp", "string")]
for name, answer in zip([*names, "micros as bigint", "n beside millis as int"], answers):
    error = answer.get("error", "")
    print(f"SEEN {name}: {'fails, ' + error[:60] if error else answer['rows']}")
PY
"$folder/venv/bin/python" "$folder/tell.py" "$folder/answers" | tee "$folder/seen"
[ "$(grep -cE '^SEEN millis as [a-z]+: fails' "$folder/seen")" = 5 ] || { echo "changed" >&2; exit 1; }
grep -qxF "SEEN micros as bigint: [[1000]]" "$folder/seen"
grep -qxF "SEEN n beside millis as int: [[7]]" "$folder/seen"
