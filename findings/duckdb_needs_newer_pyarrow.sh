#!/usr/bin/env bash
# DuckDB 2.0.1 cannot query a table of pyarrow 11.0.0, the version that apache-flink uses.
#
# Versions:  duckdb 2.0.1, pyarrow 11.0.0 and 14.0.2, numpy 1.26.4, Python 3.11
# Behaviour: with pyarrow 11 a pyarrow.Table is "not suitable for replacement scans", by its name in
#            SQL as by `from_arrow`, in a message that lists "pyarrow Table" as suitable and names
#            no version. With pyarrow 14 the same lines work: from there on tables have the Arrow
#            PyCapsule interface. Neither package declares the conflict, so pip installs both and
#            the imports succeed.
# Instead:   export the table by the older C stream interface (`_export_to_c`), or write Parquet
#            and let DuckDB read the file.
# Output:    a line "SEEN ..." per version of pyarrow. Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"

cat > "$folder/query.py" <<'PY'
import duckdb
import pyarrow as pa

trips = pa.table({"trip_id": [1, 2, 3]})


def outcome(query):
    try:
        return f"rows {query().fetchall()}"
    except duckdb.Error as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"


by_name = outcome(lambda: duckdb.sql("SELECT count(*) FROM trips"))
from_arrow = outcome(lambda: duckdb.from_arrow(trips).aggregate("count(*)"))
print(f"SEEN pyarrow {pa.__version__}: by name: {by_name}; from_arrow: {from_arrow}")
PY

query() {
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    duckdb==2.0.1 pyarrow=="$1" numpy==1.26.4
  "$folder/venv/bin/python" "$folder/query.py"
}

old=$(query 11.0.0)
new=$(query 14.0.2)
printf '%s\n%s\n' "$old" "$new"
grep -q 'by name: .*not suitable for replacement scans.*from_arrow: .*not suitable' <<<"$old"
grep -q 'by name: rows \[(3,)\]; from_arrow: rows \[(3,)\]' <<<"$new"
