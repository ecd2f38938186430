#!/usr/bin/env bash
# Flink starts another source of the same uid from its beginning, without a warning that it dropped
# the position in the savepoint.
#
# Versions:  Flink 1.20.5, Java 17
# Behaviour: a job's source of the old kind (SourceFunction) is replaced by one of the new kind
#            (Source) that reads the same, and keeps its uid. Flink compares the uids of a savepoint
#            with those of the job, but not the states of one operator. The operator is there, so
#            its state counts as restored, and the new source does not know it. The job runs and
#            reads everything again; a source that starts at "latest" would skip what came while
#            the job was stopped. With another uid the job is refused, unless
#            --allowNonRestoredState is given.
#            Seen here with generateSequence and the source that its deprecation names, and in the
#            same way with FlinkKinesisConsumer and KinesisStreamsSource, both of
#            flink-connector-kinesis 4.3.0-1.19.
# Instead:   give the new source another uid, pass --allowNonRestoredState, and set where it starts.
# Known:     the documentation of Kinesis's new source says that the uid needs to be changed and
#            allowNonRestoredState to be enabled, and not what happens otherwise:
#            https://github.com/apache/flink-connector-aws/blob/main/docs/content/docs/connectors/datastream/kinesis.md
# Output:    a line "SEEN ..." for each way to start from the savepoint, with the first number that
#            the job reads. Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/pom.xml" <<'XML'
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId>
  <artifactId>example</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.flink</groupId>
      <artifactId>flink-clients</artifactId>
      <version>1.20.5</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.24.3</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-core</artifactId>
      <version>2.24.3</version>
    </dependency>
  </dependencies>
</project>
XML
mvn -q -B -f "$folder/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
  -DoutputDirectory="$folder/jars"
cat > "$folder/log4j2.properties" <<'LOG'
rootLogger.level = INFO
rootLogger.appenderRef.err.ref = err
appender.err.type = Console
appender.err.name = err
appender.err.target = SYSTEM_ERR
appender.err.layout.type = PatternLayout
appender.err.layout.pattern = %p %c{1} %m%n
LOG

cat > "$folder/Numbers.java" <<'JAVA'
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Numbers KIND UID SAVEPOINT-OR-MINUS FOLDER: read 100 numbers, say the first, stop with a savepoint. */
public class Numbers {
    static final AtomicLong first = new AtomicLong(-1);
    static final AtomicLong read = new AtomicLong();

    static Long see(Long number) throws InterruptedException {
        first.compareAndSet(-1, number);
        read.incrementAndGet();
        TimeUnit.MILLISECONDS.sleep(1);
        return number;
    }

    public static void main(String[] arguments) throws Exception {
        String kind = arguments[0], uid = arguments[1], savepoint = arguments[2], folder = arguments[3];
        Configuration settings = new Configuration();
        settings.setString("restart-strategy.type", "none");
        if (!savepoint.equals("-")) settings.setString("execution.state-recovery.path", savepoint);
        StreamExecutionEnvironment job = StreamExecutionEnvironment.createLocalEnvironment(1, settings);
        SingleOutputStreamOperator<Long> numbers = kind.equals("SourceFunction")
            ? job.generateSequence(1, 100_000).uid(uid)
            : job.fromSequence(1, 100_000).uid(uid);
        numbers.map(Numbers::see).returns(Long.class).uid("see").print().uid("print");
        try {
            JobClient running = job.executeAsync();
            while (read.get() < 100) {
                JobStatus status = running.getJobStatus().get();
                if (status.isTerminalState()) throw new IllegalStateException("the job is " + status);
                TimeUnit.MILLISECONDS.sleep(100);
            }
            System.out.println("FIRST " + first.get());
            System.out.println("SAVEPOINT " + running.stopWithSavepoint(
                false, folder, SavepointFormatType.CANONICAL).get(60, TimeUnit.SECONDS));
        } catch (Exception error) {
            Throwable cause = error;
            while (cause.getCause() != null) cause = cause.getCause();
            System.out.println("REFUSED " + cause.getMessage().replace(savepoint, "SAVEPOINT"));
        }
        System.exit(0);
    }
}
JAVA
mkdir "$folder/classes"
javac -nowarn -Xlint:-deprecation -cp "$folder/jars/*" -d "$folder/classes" "$folder/Numbers.java" \
  2> "$folder/errors" || { cat "$folder/errors" >&2; exit 1; }

numbers() {
  timeout 200 java -Xmx512m --add-opens java.base/java.util=ALL-UNNAMED --add-opens java.base/java.lang=ALL-UNNAMED \
    -Dlog4j2.configurationFile="$folder/log4j2.properties" -cp "$folder/classes:$folder/jars/*" \
    Numbers "$@" "file://$folder/savepoints" > "$folder/out" 2> "$folder/errors" || { tail -n 20 "$folder/errors" >&2; exit 1; }
}
first() { sed -n 's/^FIRST //p' "$folder/out"; }

numbers SourceFunction numbers -
savepoint=$(sed -n 's/^SAVEPOINT //p' "$folder/out")
numbers SourceFunction numbers "$savepoint"
echo "SEEN the same source: reads on, from $(first)"
test "$(first)" -gt 100
numbers Source numbers "$savepoint"
warnings=$(grep -E "^(WARN|ERROR)" "$folder/errors" | grep -ciE "state|savepoint|restor" || true)
echo "SEEN the other source with the same uid: runs, reads from $(first); warnings about its state: $warnings"
test "$(first)" -eq 1
test "$warnings" -eq 0
numbers Source numbers-2 "$savepoint"
echo "SEEN the other source with another uid: $(grep '^REFUSED ' "$folder/out")"
grep -q '^REFUSED .*Cannot map checkpoint/savepoint state for operator' "$folder/out"
