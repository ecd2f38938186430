#!/usr/bin/env bash
# Flink's Kinesis consumer reads the children of a split shard beside their parent, so the records
# of one partition key come out of order.
#
# Versions:  Flink 1.20.5, flink-connector-kinesis 4.3.0-1.19, kinesis-local 0.6.2, Node 20, Java 17
# Behaviour: 1,000 records of one key are stored, their shard is split, and 1,000 more of the same
#            key go to one of its children. A job that starts at TRIM_HORIZON, as one that was
#            behind does, reads parent and child at the same time: records of the second thousand
#            come before records of the first. None is lost or read twice. The table connector
#            `kinesis` of this version reads with the same consumer.
# Instead:   let the job be near the stream's end when you reshard, or order by a field of your own.
# Known:     AWS describes it for Managed Service for Apache Flink:
#            https://docs.aws.amazon.com/managed-flink/latest/java/troubleshooting-kinesis-data-streams-processing-out-of-order.html
#            KinesisStreamsSource, released with version 5.0.0, is documented to read parents first.
# Output:    a line "SEEN ..." with the number of records of the first thousand that came after one
#            of the second. Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$folder"' EXIT
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
      <groupId>org.apache.flink</groupId>
      <artifactId>flink-connector-base</artifactId>
      <version>1.20.5</version>
    </dependency>
    <dependency>
      <groupId>org.apache.flink</groupId>
      <artifactId>flink-connector-kinesis</artifactId>
      <version>4.3.0-1.19</version>
    </dependency>
    <dependency>
      <groupId>com.fasterxml.jackson.dataformat</groupId>
      <artifactId>jackson-dataformat-cbor</artifactId>
      <version>2.18.10</version>
    </dependency>
    <dependency>
      <groupId>org.apache.httpcomponents</groupId>
      <artifactId>httpclient</artifactId>
      <version>4.5.14</version>
    </dependency>
  </dependencies>
</project>
XML
mvn -q -B -f "$folder/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
  -DoutputDirectory="$folder/jars"
npm install --silent --no-audit --no-fund --prefix "$folder/server" kinesis-local@0.6.2 > "$folder/errors" 2>&1 \
  || { cat "$folder/errors" >&2; exit 1; }

# The server binds every address and has no option against it.
cat > "$folder/loopback.cjs" <<'JS'
const { Server } = require("net");
const { listen } = Server.prototype;
Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, "127.0.0.1", rest.at(-1));
};
JS
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
package="$folder/server/node_modules/kinesis-local"
KINESIS_MOCK_PLAIN_PORT=$port KINESIS_MOCK_TLS_PORT=0 KINESIS_MOCK_CERT_PATH="$package/server.json" \
  AWS_ACCOUNT_ID=000000000000 AWS_REGION=us-east-1 LOG_LEVEL=ERROR SHOULD_PERSIST_DATA=false \
  CREATE_STREAM_DURATION=50ms SPLIT_SHARD_DURATION=50ms \
  node --require "$folder/loopback.cjs" "$package/main.js" > "$folder/server.log" 2>&1 &
server=$!
for _ in $(seq 120); do
  (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null && break
  sleep 0.5
done

cat > "$folder/Order.java" <<'JAVA'
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.core.SdkBytes;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.http.apache.ApacheHttpClient;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.regions.Region;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.services.kinesis.KinesisClient;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.connectors.kinesis.FlinkKinesisConsumer;
import org.apache.flink.util.CloseableIterator;

/** Order ENDPOINT: fill a stream, read it, and count the records that come too late. */
public class Order {
    static final String STREAM = "events";
    static final int EACH = 1_000;

    public static void main(String[] arguments) throws Exception {
        String endpoint = arguments[0];
        try (KinesisClient kinesis = KinesisClient.builder().endpointOverride(URI.create(endpoint))
                .region(Region.US_EAST_1).httpClient(ApacheHttpClient.create()).build()) {
            kinesis.createStream(request -> request.streamName(STREAM).shardCount(1));
            waitUntilActive(kinesis);
            put(kinesis, 0);
            String middle = "170141183460469231731687303715884105728"; // 2 to the power of 127
            String shard = kinesis.listShards(request -> request.streamName(STREAM)).shards().get(0).shardId();
            kinesis.splitShard(request -> request.streamName(STREAM).shardToSplit(shard).newStartingHashKey(middle));
            waitUntilActive(kinesis);
            put(kinesis, EACH);
        }
        List<Integer> read = read(endpoint);
        int highest = -1, late = 0;
        for (int number : read) {
            if (number < EACH && highest >= EACH) late++;
            highest = Math.max(highest, number);
        }
        System.out.println("READ " + read.size() + " DIFFERENT " + new TreeSet<>(read).size() + " LATE " + late);
        System.exit(0);
    }

    static void waitUntilActive(KinesisClient kinesis) throws InterruptedException {
        for (int tries = 0; tries < 100; tries++) {
            TimeUnit.MILLISECONDS.sleep(100);
            String status = kinesis.describeStreamSummary(request -> request.streamName(STREAM))
                .streamDescriptionSummary().streamStatusAsString();
            if (status.equals("ACTIVE")) return;
        }
        throw new IllegalStateException("the stream did not become active");
    }

    static void put(KinesisClient kinesis, int from) {
        for (int start = from; start < from + EACH; start += 100) {
            List<PutRecordsRequestEntry> records = new ArrayList<>();
            for (int number = start; number < start + 100; number++)
                records.add(PutRecordsRequestEntry.builder().partitionKey("key")
                    .data(SdkBytes.fromUtf8String(Integer.toString(number))).build());
            int failed = kinesis.putRecords(request -> request.streamName(STREAM).records(records)).failedRecordCount();
            if (failed > 0) throw new IllegalStateException(failed + " records failed");
        }
    }

    static List<Integer> read(String endpoint) throws Exception {
        Properties settings = new Properties();
        settings.setProperty("aws.region", "us-east-1");
        settings.setProperty("aws.endpoint", endpoint);
        settings.setProperty("flink.stream.initpos", "TRIM_HORIZON");
        settings.setProperty("flink.shard.getrecords.maxrecordcount", "100");
        StreamExecutionEnvironment job = StreamExecutionEnvironment.createLocalEnvironment(1, new Configuration());
        List<Integer> read = new ArrayList<>();
        try (CloseableIterator<String> rows = job.addSource(
                new FlinkKinesisConsumer<>(STREAM, new SimpleStringSchema(), settings)).executeAndCollect()) {
            while (read.size() < 2 * EACH && rows.hasNext()) read.add(Integer.valueOf(rows.next()));
        }
        return read;
    }
}
JAVA
mkdir "$folder/classes"
javac -nowarn -Xlint:-deprecation -cp "$folder/jars/*" -d "$folder/classes" "$folder/Order.java" \
  2> "$folder/errors" || { cat "$folder/errors" >&2; exit 1; }
AWS_ACCESS_KEY_ID=example AWS_SECRET_ACCESS_KEY=example AWS_CBOR_DISABLE=1 CBOR_ENABLED=false \
  timeout 300 java -Xmx512m --add-opens java.base/java.util=ALL-UNNAMED --add-opens java.base/java.lang=ALL-UNNAMED \
  -cp "$folder/classes:$folder/jars/*" Order "http://127.0.0.1:$port" > "$folder/out" 2> "$folder/errors" \
  || { tail -n 20 "$folder/errors" >&2; exit 1; }
late=$(sed -n 's/^READ 2000 DIFFERENT 2000 LATE //p' "$folder/out")
echo "SEEN of 1,000 records before the split, $late were read after one of behind it; all 2,000 once"
test "$late" -gt 0
