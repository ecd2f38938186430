#!/usr/bin/env bash
# pyarrow reads text from Parquet without a check for UTF-8, and fails later in one of three ways.
#
# Versions:  pyarrow 11.0.0, numpy 1.26.4, Python 3.11
# Behaviour: a string column that holds the byte 0xFF is read without an error. `as_py` and
#            `to_pylist` raise UnicodeDecodeError. `to_numpy` raises ArrowException "Unknown error:
#            Wrapping ... failed", whose message holds the value, so that a log of it leaks data. A
#            cast from string to string checks nothing; only binary to string raises ArrowInvalid.
# Instead:   cast the column to binary and decode row by row, or call `validate(full=True)`.
# Output:    a line "SEEN ..." per way. Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==11.0.0 numpy==1.26.4

cat > "$folder/read.py" <<'PY'
import io
import sys

import pyarrow as pa
import pyarrow.parquet as pq

raw = pa.array([b"N", b"\xff"])
file = io.BytesIO()
pq.write_table(pa.table({"flag": pa.Array.from_buffers(pa.string(), 2, raw.buffers())}), file)
column = pq.read_table(io.BytesIO(file.getvalue())).column("flag").chunk(0)


def outcome(step):
    try:
        step()
    except Exception as error:
        return type(error).__name__
    return "no error"


EXPECTED = {
    "read": "no error",
    "to_pylist": "UnicodeDecodeError",
    "to_numpy": "ArrowException",
    "string to string": "no error",
    "binary to string": "ArrowInvalid",
    "validate": "ArrowInvalid",
}
seen = {
    "read": "no error",
    "to_pylist": outcome(column.to_pylist),
    "to_numpy": outcome(lambda: column.to_numpy(zero_copy_only=False)),
    "string to string": outcome(lambda: column.cast(pa.string())),
    "binary to string": outcome(lambda: column.cast(pa.binary()).cast(pa.string())),
    "validate": outcome(lambda: column.validate(full=True)),
}
for way, result in seen.items():
    print(f"SEEN {way}: {result}")
sys.exit(seen != EXPECTED)
PY
"$folder/venv/bin/python" "$folder/read.py"
