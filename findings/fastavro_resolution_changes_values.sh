#!/usr/bin/env bash
# fastavro resolves a writer's schema to a reader's with values that differ from the writer's.
#
# Versions:  fastavro 1.13.1, Python 3.11
# Behaviour: a default of a `bytes` field is returned as text, not as bytes as the same field's values
#            are. A long above 2^53 is rounded for a reader's double, although Python has the exact
#            integer. A timestamp-millis after the year 9999, which a long holds, raises
#            OverflowError, with and without a reader's schema. The names of records must match
#            without their namespaces, also those of records within records; a field's alias
#            renames it, but a record that lacks the reader's field and its default raises. A
#            timestamp-nanos stays a number, other timestamps become datetime.
# Instead:   read with the writer's schema alone, and without its logical types; rename, promote and
#            fill in defaults afterwards.
# Known:     https://avro.apache.org/docs/1.12.0/specification/#schema-resolution has the rules: names
#            are compared unqualified, and long is promotable to double.
# Output:    a line "SEEN ..." per case. Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fastavro==1.13.1

cat > "$folder/read.py" <<'PY'
import io
import sys

import fastavro


def record(name, *fields):
    return {"type": "record", "name": name, "fields": list(fields)}


def outcome(writer, value, reader=None):
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, writer, value)
    buffer.seek(0)
    try:
        return fastavro.schemaless_reader(buffer, writer, reader)
    except Exception as error:
        return type(error).__name__


def v(avro, **more):
    return {"name": "v", "type": avro, **more}


MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
NANOS = {"type": "long", "logicalType": "timestamp-nanos"}
YEAR_10000 = 253_402_300_800_000
EXPECTED = {
    "bytes by a default": {"v": "\xff"},
    "bytes that were written": {"v": b"\xff"},
    "long 2^53+1 for a double": {"v": 9007199254740992.0},
    "timestamp-millis of the year 10000": "OverflowError",
    "timestamp-nanos": {"v": 1},
    "record a.R for b.R": {"v": 1},
    "record R for S": "SchemaResolutionError",
    "field without default that the writer lacks": "SchemaResolutionError",
    "field that the reader lacks": {},
}
seen = {
    "bytes by a default": outcome(record("R"), {}, record("R", v("bytes", default="\xff"))),
    "bytes that were written": outcome(record("R", v("bytes")), {"v": b"\xff"}),
    "long 2^53+1 for a double": outcome(
        record("R", v("long")), {"v": 2**53 + 1}, record("R", v("double"))
    ),
    "timestamp-millis of the year 10000": outcome(record("R", v(MILLIS)), {"v": YEAR_10000}),
    "timestamp-nanos": outcome(record("R", v(NANOS)), {"v": 1}),
    "record a.R for b.R": outcome(record("a.R", v("int")), {"v": 1}, record("b.R", v("int"))),
    "record R for S": outcome(record("R", v("int")), {"v": 1}, record("S", v("int"))),
    "field without default that the writer lacks": outcome(
        record("R"), {}, record("R", v("int"))
    ),
    "field that the reader lacks": outcome(record("R", v("int")), {"v": 1}, record("R")),
}
for case, result in seen.items():
    print(f"SEEN {case}: {result!r}")
sys.exit(seen != EXPECTED)
PY
"$folder/venv/bin/python" "$folder/read.py"
