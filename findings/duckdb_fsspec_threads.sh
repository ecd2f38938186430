#!/usr/bin/env bash
# DuckDB reads one open file of an fsspec filesystem from several threads, by `seek` and then `read`.
#
# Versions:  duckdb 2.0.1, fsspec 2026.9.0, pyarrow 26.0.1, Python 3.11
# Behaviour: a Parquet file of several row groups is opened once for the scan, and the object that
#            `open` returned is shared: each thread calls `seek(offset)` and then `read(count)` on
#            it, more threads than DuckDB's setting `threads` says. The two are separate calls,
#            between which another thread may seek. A file with one position, as Python's own are,
#            then reads the bytes of another place; what DuckDB makes of them is left to chance.
#            `close` is never called, and an exception in `read` reaches the caller as a
#            `duckdb.Error` whose text is a traceback, without the exception itself.
# Instead:   keep a position for each thread (`threading.local`), close with the last reference,
#            and keep the first exception where the caller can find it: connectors/s3/filesystem.py.
# Output:    lines "SEEN ...". Exits 1 if the behaviour has changed. The file here has a position
#            for each thread, so that it always reads what was asked for, and only counts how often
#            one position would have been another thread's.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  duckdb==2.0.1 fsspec==2026.9.0 pyarrow==26.0.1

cat > "$folder/threads.py" <<'PY'
import sys
import threading
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

ROWS = 400_000
path = Path(sys.argv[1])
pq.write_table(pa.table({"n": range(ROWS)}), path, row_group_size=10_000, use_dictionary=False)
content = path.read_bytes()
seen = Counter()
refused = False


class SharedFile:
    def __init__(self):
        self.own = threading.local()
        self.threads = set()
        self.position_of = None

    def seek(self, offset, whence=0):
        assert whence == 0
        self.own.position = offset
        self.position_of = threading.get_ident()
        time.sleep(0.001)  # As long as a request takes, and any thread may come in between.
        return offset

    def read(self, count):
        if refused:
            raise ValueError("the store said no")
        self.threads.add(threading.get_ident())
        seen["most threads in one file"] = max(seen["most threads in one file"], len(self.threads))
        seen["reads after another thread's seek"] += self.position_of != threading.get_ident()
        start = self.own.position
        return content[start : start + count]

    def close(self):
        seen["closed"] += 1


class Files(AbstractFileSystem):
    protocol = "some"
    cachable = False

    def open(self, path, mode="rb", **_):
        seen["opened"] += 1
        return SharedFile()

    def glob(self, path, **_):
        return [path]

    def size(self, path):
        return len(content)

    def modified(self, path):
        return datetime(2026, 1, 1)


connection = duckdb.connect(config={"threads": 4})
connection.register_filesystem(Files())
(total,) = connection.execute("SELECT sum(n) FROM read_parquet('some://file')").fetchone()
assert total == ROWS * (ROWS - 1) // 2
for name in ("most threads in one file", "reads after another thread's seek"):
    print(f"SEEN {name}: {'several' if seen[name] > 1 else seen[name]} ({seen[name]})")
print(f"SEEN opened: {seen['opened']}, closed: {seen['closed']}")
refused = True
try:
    connection.execute("SELECT max(n) FROM read_parquet('some://other')").fetchone()
except duckdb.Error as error:
    lines = str(error).splitlines()
    last = next(line for line in lines if line.startswith("ValueError"))
    print(f"SEEN {type(error).__name__}, caused by {error.__cause__}: {lines[0]} ... {last}")
PY

seen=$("$folder/venv/bin/python" "$folder/threads.py" "$folder/file.parquet")
echo "$seen"
grep -q "^SEEN most threads in one file: several" <<<"$seen"
grep -q "^SEEN reads after another thread's seek: several" <<<"$seen"
grep -q "^SEEN opened: [1-9][0-9]*, closed: 0$" <<<"$seen"
grep -q "^SEEN Error, caused by None: Traceback .* ValueError: the store said no$" <<<"$seen"
