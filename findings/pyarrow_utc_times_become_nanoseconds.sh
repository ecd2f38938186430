#!/usr/bin/env bash
# Arrow timestamps as numpy arrays in the pyarrow that PyFlink 1.20 pins: those with a zone become
# nanoseconds whatever their unit, and one that nanoseconds cannot hold is an error.
#
# Versions:  pyarrow 11.0.0 (PyFlink 1.20 requires one below 12), numpy 1.24.4, Python 3.11
# Behaviour: Array.to_numpy of timestamp[ms] is datetime64[ms]. Of timestamp[ms, tz=UTC], the type
#            of an instant, it is datetime64[ns]: each value is multiplied, without a word, and code
#            that views the integers is off by a million. The year 9999, a usual "for ever", raises
#            ArrowInvalid, for the whole column.
# Instead:   view the column as int64 (a column without nulls is not copied), and the numpy array
#            as datetime64 of the unit.
# Output:    a line "SEEN <zone>: <dtype>, 9999: <dtype or error>" each, and one for the view.
#            Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==11.0.0 numpy==1.24.4

cat > "$folder/times.py" <<'PY'
from datetime import datetime

import numpy as np
import pyarrow as pa


def dtype(year, zone):
    times = pa.array([datetime(year, 12, 31)], pa.timestamp("ms", tz=zone))
    try:
        return str(times.to_numpy(zero_copy_only=False).dtype)
    except pa.ArrowInvalid:
        return "ArrowInvalid"


for zone in (None, "UTC"):
    print(f"SEEN {zone}: {dtype(2018, zone)}, 9999: {dtype(9999, zone)}")
times = pa.array([datetime(9999, 12, 31)], pa.timestamp("ms", tz="UTC"))
viewed = times.view(pa.int64()).to_numpy().view("M8[ms]")
print(f"SEEN view: {viewed.dtype}, {np.datetime_as_string(viewed)[0]}")
PY

"$folder/venv/bin/python" "$folder/times.py" | tee "$folder/seen"
diff - "$folder/seen" <<'SEEN'
SEEN None: datetime64[ms], 9999: datetime64[ms]
SEEN UTC: datetime64[ns], 9999: ArrowInvalid
SEEN view: datetime64[ms], 9999-12-31T00:00:00.000
SEEN
