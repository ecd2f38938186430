#!/usr/bin/env bash
# PyFlink's checkpoints and savepoints lack the timers that Python registered in the bundle they end.
#
# Versions:  apache-flink 1.20.5, setuptools 75.8.0, Python 3.11, Java 17
# Behaviour: before a checkpoint's barrier the operator of a KeyedProcessFunction finishes the open
#            bundle (prepareSnapshotPreBarrier). State that Python writes in it reaches Flink, and so
#            the checkpoint, at once. Timers of both kinds only reach a list of the runner
#            (unregisteredTimers) and an action in the task's mailbox, which runs after the snapshot;
#            only a watermark empties the list earlier (drainUnregisteredTimers in advanceWatermark).
#            A job that starts from the checkpoint has the key's state, but no timer of that bundle
#            ever fires. Nothing is logged about it.
# Instead:   let a KeyedProcessFunction in Java register the timers and send the Python function a
#            row when one fires: connectors/src/main/java/streaming/etl/files/Ticks.java.
# Known:     the documentation says "Timers are fault tolerant and checkpointed along with the state
#            of the application", and names no exception:
#            https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/dev/datastream/operators/process_function/
# Output:    lines "SEEN ..." of a job that stops with a savepoint (keys a and b: their bundle is
#            full before it; key c: the savepoint ends its bundle), and of one that starts from it,
#            gets the same keys again and a new one, d, and is drained when d's timer has fired: a,
#            b and d get their timers, c gets none. Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" setuptools==75.8.0
"${pip[@]}" apache-flink==1.20.5

cat > "$folder/job.py" <<'PY'
import sys
import time
from pathlib import Path

from pyflink.common import Configuration, Duration, Types, WatermarkStrategy
from pyflink.datastream import KeyedProcessFunction, StreamExecutionEnvironment, TimeDomain
from pyflink.datastream.connectors.file_system import FileSource, StreamFormat
from pyflink.datastream.state import ValueStateDescriptor

folder = Path(sys.argv[1])
printed = folder / "printed"  # stdout of this process and of Flink's
TIMER_SECONDS = 30


class Remember(KeyedProcessFunction):
    def open(self, context):
        self.known = context.get_state(ValueStateDescriptor("known", Types.BOOLEAN()))

    def process_element(self, key, context):
        if self.known.value():
            yield f"{key} has state"
            return
        self.known.update(True)
        timers = context.timer_service()
        timers.register_processing_time_timer(timers.current_processing_time() + TIMER_SECONDS * 1000)
        timers.register_event_time_timer(2**63 - 1)
        yield f"{key} writes state and registers timers"

    def on_timer(self, timestamp, context):
        event_time = context.time_domain() == TimeDomain.EVENT_TIME
        yield f"{context.get_current_key()} gets its {'event' if event_time else 'processing'}-time timer"


def start(job, bundle_size, savepoint=None):
    # On loopback alone; only Beam's ports for the Python workers have no setting for it.
    settings = {
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "jobmanager.bind-host": "127.0.0.1",
        "parallelism.default": "1",
        "python.fn-execution.bundle.size": str(bundle_size),
        "python.fn-execution.bundle.time": "3600000",
    }
    if savepoint:
        settings["execution.state-recovery.path"] = savepoint
    configuration = Configuration()
    for name, value in settings.items():
        configuration.set_string(name, value)
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    lines = FileSource.for_record_stream_format(StreamFormat.text_line_format(), str(folder / "in"))
    source = lines.monitor_continuously(Duration.of_millis(100)).build()
    keys = environment.from_source(source, WatermarkStrategy.no_watermarks(), "keys")
    # Comes from the source's own task, so what is printed here comes before any later barrier.
    keys.print(f"{job} reads")
    function = keys.key_by(str, Types.STRING()).process(Remember(), Types.STRING())
    function.print(job)
    return environment.execute_async(job)


def put(name, keys):
    (folder / name).write_text("".join(f"{key}\n" for key in keys))
    (folder / name).rename(folder / "in" / name)  # whole at once


def wait_for(line):
    end = time.monotonic() + 180
    while line not in printed.read_text().splitlines():
        assert time.monotonic() < end, f"no line {line!r}"
        time.sleep(0.1)


def stop(job, drain):
    return job.stop_with_savepoint(drain, str(folder / "savepoints")).result()


(folder / "in").mkdir()
job = start("before", bundle_size=2)
put("1", "ab")
wait_for("before> b writes state and registers timers")
put("2", "c")
wait_for("before reads> c")
savepoint = stop(job, drain=False)

job = start("after", bundle_size=1, savepoint=savepoint)
put("3", "abcd")
wait_for("after> d gets its processing-time timer")
stop(job, drain=True)
PY
export FLINK_LOG_DIR="$folder/log"
mkdir "$FLINK_LOG_DIR"
touch "$folder/printed"
# The pipe ends with the last process, which is Flink's.
PATH="$folder/venv/bin:$PATH" timeout 600 "$folder/venv/bin/python" "$folder/job.py" "$folder" \
  2> "$folder/err" | tee "$folder/printed" > /dev/null || { cat "$folder/err" "$folder/printed" >&2; exit 1; }
seen=$(grep -v ' reads> ' "$folder/printed" | sed 's/^/SEEN /')
echo "$seen"

expected=$(cat <<'TEXT'
SEEN before> a writes state and registers timers
SEEN before> b writes state and registers timers
SEEN before> c writes state and registers timers
SEEN after> a has state
SEEN after> b has state
SEEN after> c has state
SEEN after> d writes state and registers timers
SEEN after> a gets its processing-time timer
SEEN after> b gets its processing-time timer
SEEN after> d gets its processing-time timer
SEEN after> a gets its event-time timer
SEEN after> b gets its event-time timer
SEEN after> d gets its event-time timer
TEXT
)
[ "$(sort <<< "$seen")" = "$(sort <<< "$expected")" ] || { echo "changed: expected"$'\n'"$expected" >&2; exit 1; }
