#!/usr/bin/env bash
# Partition projection in Trino shows the rows of Hive's null partition as null, and finds none of
# them by IS NULL.
#
# Versions:  Trino 435 (the last for Java 17), pyarrow 26.0.1, Python 3.11
# Behaviour: a table lists its partitions with projection.p.type=enum, and __HIVE_DEFAULT_PARTITION__
#            is one of the values. A query of all rows has those of that folder, and p is null in
#            them. WHERE p IS NULL has no row, nor has WHERE p = '__HIVE_DEFAULT_PARTITION__'; there
#            is no error. With projection.p.type=injected, where the value must be given, the rows
#            cannot be read at all.
# Instead:   list the value in an enum, and look for null by a column of the file.
# Output:    a line "SEEN <condition>: <rows>" for each. Exits 1 if the behaviour has changed.
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
for number, value in enumerate(("a", "__HIVE_DEFAULT_PARTITION__")):
    place = folder / "bucket" / "t" / f"p={value}"
    place.mkdir(parents=True)
    pq.write_table(pa.table({"n": [number]}), place / "part-0")
hive = "org.apache.hadoop.hive.ql.io.parquet"


def table(name, **projection):
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {
            "EXTERNAL": "TRUE",
            "projection.enabled": "true",
            **{f"projection.p.{option}": text for option, text in projection.items()},
            "storage.location.template": "local:///t/p=${p}/",
        },
        "PartitionKeys": [{"Name": "p", "Type": "string"}],
        "StorageDescriptor": {
            "Columns": [{"Name": "n", "Type": "bigint"}],
            "Location": "local:///t/",
            "InputFormat": f"{hive}.MapredParquetInputFormat",
            "OutputFormat": f"{hive}.MapredParquetOutputFormat",
            "SerdeInfo": {"SerializationLibrary": f"{hive}.serde.ParquetHiveSerDe"},
        },
    }


tables = [
    table("listed", type="enum", values="a,__HIVE_DEFAULT_PARTITION__"),
    table("injected", type="injected"),
]
queries = [
    "SELECT p, n FROM listed ORDER BY n",
    "SELECT p, n FROM listed WHERE p IS NULL",
    "SELECT p, n FROM listed WHERE p = '__HIVE_DEFAULT_PARTITION__'",
    "SELECT p, n FROM listed WHERE n = 1",
    "SELECT p, n FROM injected WHERE p = 'a'",
    "SELECT p, n FROM injected WHERE p = '__HIVE_DEFAULT_PARTITION__'",
]
(folder / "given.json").write_text(json.dumps({"tables": tables, "queries": queries}))
PY
"$folder/venv/bin/python" "$folder/make.py" "$folder"
java --add-opens=java.base/java.nio=ALL-UNNAMED -cp "$folder/jars/*:$folder/jars/trino-hive-435/*" \
  "$trino/Queries.java" "$folder/bucket" "$folder/given.json" > "$folder/answers" 2> "$folder/log" ||
  { tail "$folder/log"; exit 1; }

cat > "$folder/tell.py" <<'PY'
import json
import sys

queries = json.load(open(sys.argv[1]))["queries"]
answers = [json.loads(line[7:]) for line in open(sys.argv[2]) if line.startswith("ANSWER ")]
for query, answer in zip(queries, answers, strict=True):
    print(f"SEEN {query.removeprefix('SELECT p, n FROM ')}: {answer.get('rows', answer)}")
PY
"$folder/venv/bin/python" "$folder/tell.py" "$folder/given.json" "$folder/answers" | tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
SEEN listed ORDER BY n: [['a', 0], [None, 1]]
SEEN listed WHERE p IS NULL: []
SEEN listed WHERE p = '__HIVE_DEFAULT_PARTITION__': []
SEEN listed WHERE n = 1: [[None, 1]]
SEEN injected WHERE p = 'a': [['a', 0]]
SEEN injected WHERE p = '__HIVE_DEFAULT_PARTITION__': []
EXPECTED
