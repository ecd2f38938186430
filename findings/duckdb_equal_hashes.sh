#!/usr/bin/env bash
# DuckDB's hash() of HUGEINT and of nested values: values that differ have equal hashes, always.
#
# Versions:  duckdb 2.0.1, Python 3.11
# Behaviour: hash(-1::HUGEINT) is hash(0::HUGEINT), and hash(2^64) is hash(1): the halves of 64 bits
#            may change places, and any number of equal halves hashes as 0. What is compared by sums
#            of hashes, such as a lake with its source, does not see a -1 that became 0. The same
#            numbers as BIGINT differ. An empty list and NULL have one hash too, and so have lists
#            that differ in nesting alone.
# Instead:   hash the text (v::VARCHAR) of a HUGEINT or of a nested value, or its BIGINT.
# Output:    a line "SEEN <what>: equal" or "different" each. Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1

cat > "$folder/hashes.py" <<'PY'
import duckdb

PAIRS = {
    "-1 and 0 as HUGEINT": ("-1::HUGEINT", "0::HUGEINT"),
    "2^64 and 1 as HUGEINT": ("18446744073709551616::HUGEINT", "1::HUGEINT"),
    "2 and 1 as HUGEINT": ("2::HUGEINT", "1::HUGEINT"),
    "-1 and 0 as BIGINT": ("-1::BIGINT", "0::BIGINT"),
    "-1 and 0 as text": ("(-1::HUGEINT)::VARCHAR", "(0::HUGEINT)::VARCHAR"),
    "[] and NULL": ("[]::INTEGER[]", "NULL::INTEGER[]"),
    "[[1], [2]] and [[1, 2]]": ("[[1], [2]]", "[[1, 2]]"),
}
for name, (one, other) in PAIRS.items():
    [(equal,)] = duckdb.sql(f"SELECT hash({one}) = hash({other})").fetchall()
    print(f"SEEN {name}: {'equal' if equal else 'different'}")
PY

"$folder/venv/bin/python" "$folder/hashes.py" | tee "$folder/seen"
diff - "$folder/seen" <<'SEEN'
SEEN -1 and 0 as HUGEINT: equal
SEEN 2^64 and 1 as HUGEINT: equal
SEEN 2 and 1 as HUGEINT: different
SEEN -1 and 0 as BIGINT: different
SEEN -1 and 0 as text: different
SEEN [] and NULL: equal
SEEN [[1], [2]] and [[1, 2]]: equal
SEEN
