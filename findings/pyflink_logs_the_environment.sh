#!/usr/bin/env bash
# PyFlink 1.20.5 writes every environment variable of the TaskManager into its log, values included.
#
# Versions:  apache-flink 1.20.5, setuptools 75.8.0, Python 3.11, Java 17 (11 to 21)
# Behaviour: PyFlink copies System.getenv() into the description of the Python worker's environment,
#            and Beam's DefaultJobBundleFactory logs that description at INFO ("Closing environment")
#            when the worker ends, and at WARN ("Expiring environment") after failures. Names such as
#            PASSWORD are not masked either. Flink's issue FLINK-39572 is about it.
# Instead:   start TaskManagers without secrets in their environment, and turn the logger
#            org.apache.beam.runners.fnexecution.control.DefaultJobBundleFactory off.
# Output:    a line "SEEN ..." with the count per value. Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" setuptools==75.8.0
"${pip[@]}" apache-flink==1.20.5

cat > "$folder/job.py" <<'PY'
from pyflink.table import DataTypes, EnvironmentSettings, TableEnvironment
from pyflink.table.udf import udf

tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
tables.create_temporary_function("plus_one", udf(lambda x: x + 1, result_type=DataTypes.BIGINT()))
tables.execute_sql("SELECT plus_one(x) FROM (VALUES (1), (2)) AS t(x)").print()
PY

export EXAMPLE_SETTING=first-example-value EXAMPLE_PASSWORD=second-example-value
export FLINK_LOG_DIR="$folder/log"
mkdir "$FLINK_LOG_DIR"
PATH="$folder/venv/bin:$PATH" timeout 300 "$folder/venv/bin/python" "$folder/job.py" > "$folder/out" 2>&1 || { cat "$folder/out"; exit 1; }

closing=$(cat "$FLINK_LOG_DIR"/* | grep -A 400 'DefaultJobBundleFactory.*Closing environment')
first=$(grep -c 'first-example-value' <<<"$closing" || true)
second=$(grep -c 'second-example-value' <<<"$closing" || true)
echo "SEEN in the log: EXAMPLE_SETTING's value $first times, EXAMPLE_PASSWORD's value $second times"
test "$first" -ge 1 && test "$second" -ge 1
