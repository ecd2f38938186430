#!/usr/bin/env bash
# Flink's SQL function ENCODE returns one byte only where its argument is known to be a constant.
#
# Versions:  apache-flink 1.20.5, setuptools 75.8.0, Python 3.11, Java 17
# Behaviour: the type of ENCODE(text, charset) is BINARY(1). Values of columns come back whole all the
#            same. But the planner computes a constant beforehand and cuts it to the type: of
#            ENCODE('note', 'UTF-8') the byte "n" is left. A condition makes a constant, too: with
#            WHERE a = 'note', or a IN ('note'), ENCODE(a, 'UTF-8') is "n", without an error.
# Instead:   CAST(text AS BYTES) for UTF-8.
# Output:    "SEEN" and each expression with its result. Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
options=(--quiet --disable-pip-version-check)
"$folder/venv/bin/pip" install "${options[@]}" setuptools==75.8.0
"$folder/venv/bin/pip" install "${options[@]}" apache-flink==1.20.5

cat > "$folder/encode.py" <<'PY'
from pyflink.table import EnvironmentSettings, TableEnvironment

tables = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
tables.execute_sql("CREATE TEMPORARY VIEW v AS SELECT * FROM (VALUES ('note'), ('order')) AS f(a)")
for query in (
    "SELECT ENCODE('note', 'UTF-8') AS e FROM v WHERE a = 'order'",
    "SELECT ENCODE(a, 'UTF-8') AS e FROM v",
    "SELECT ENCODE(a, 'UTF-8') AS e FROM v WHERE a = 'note'",
    "SELECT CAST(a AS BYTES) AS e FROM v WHERE a = 'note'",
):
    found = [bytes(row[0]).decode() for row in tables.sql_query(query).execute().collect()]
    print("SEEN", query.removeprefix("SELECT "), "->", found)
PY
"$folder/venv/bin/python" "$folder/encode.py" > "$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
grep '^SEEN' "$folder/log" | tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
SEEN ENCODE('note', 'UTF-8') AS e FROM v WHERE a = 'order' -> ['n']
SEEN ENCODE(a, 'UTF-8') AS e FROM v -> ['note', 'order']
SEEN ENCODE(a, 'UTF-8') AS e FROM v WHERE a = 'note' -> ['n']
SEEN CAST(a AS BYTES) AS e FROM v WHERE a = 'note' -> ['note']
EXPECTED
