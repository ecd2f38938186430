#!/usr/bin/env bash
# Flink's Kinesis table sink takes records of 1 MiB at most, whatever the stream allows; a larger
# one fails the job, also with sink.fail-on-error = false. An option that does not exist, such as
# sink.max-record-size, is accepted and changes nothing.
#
# Versions:  apache-flink 1.20.5, flink-connector-kinesis 4.3.0-1.19, Python 3.11, Java 17
# Behaviour: since 2025 the owner of a stream may allow records of up to 10 MiB
#            (MaxRecordSizeInKiB). The sink refuses a row of more than 1,048,576 bytes before it
#            sends anything (no server is needed to see it), with an exception that fails the job:
#            after a restart the same record comes again. The table connector has no option for
#            the record's size, but takes any option that begins with "sink.".
# Instead:   keep larger records away from the table sink, or build KinesisStreamsSink in the
#            DataStream API.
# Output:    lines "SEEN ...". Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" setuptools==75.8.0
"${pip[@]}" apache-flink==1.20.5
cat > "$folder/pom.xml" <<'XML'
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId>
  <artifactId>example</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.flink</groupId>
      <artifactId>flink-connector-kinesis</artifactId>
      <version>4.3.0-1.19</version>
    </dependency>
  </dependencies>
</project>
XML
mvn -q -B -f "$folder/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
  -DoutputDirectory="$folder/jars"

cat > "$folder/job.py" <<'PY'
import sys
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyflink.table import EnvironmentSettings, TableEnvironment

folder, option = sys.argv[1], sys.argv[2:]
tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
jars = ";".join(f"file://{jar}" for jar in Path(folder, "jars").glob("*.jar"))
tables.get_config().set("pipeline.jars", jars)
tables.get_config().set("restart-strategy.type", "none")
extra = "".join(f", '{name}' = '2097152'" for name in option)
tables.execute_sql(f"""CREATE TABLE events (line STRING) WITH (
    'connector' = 'kinesis', 'stream' = 'trips',
    'aws.region' = 'us-east-1', 'aws.endpoint' = 'https://127.0.0.1:1', 'format' = 'raw',
    'sink.batch.max-size' = '500', 'sink.requests.max-inflight' = '16',
    'sink.requests.max-buffered' = '10000', 'sink.flush-buffer.size' = '5242880',
    'sink.flush-buffer.timeout' = '200', 'sink.fail-on-error' = 'false'{extra})""")
try:
    tables.execute_sql("INSERT INTO events SELECT REPEAT('x', 1048577)").wait(60_000)
    print("ended without an error")
except Py4JJavaError as error:
    cause = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    print(cause.toString())
PY

export AWS_ACCESS_KEY_ID=example AWS_SECRET_ACCESS_KEY=example
run() { PATH="$folder/venv/bin:$PATH" timeout 300 "$folder/venv/bin/python" "$folder/job.py" "$folder" "$@"; }
for option in "" sink.max-record-size; do
  run $option > "$folder/out" 2> "$folder/errors" || { cat "$folder/errors"; exit 1; }
  echo "SEEN with ${option:-no other option}: $(tail -n 1 "$folder/out")"
  grep -q 'size \[1048577\], when the maxRecordSizeInBytes was set to \[1048576\]' "$folder/out"
done
