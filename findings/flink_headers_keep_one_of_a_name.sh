#!/usr/bin/env bash
# Flink's Kafka table keeps one header of each name: `headers` is a map, and repeats are lost.
#
# Versions:  flink-connector-kafka 3.4.0-1.20, kafka-clients 3.9.2, flink-table-common 1.20.5, JDK 17
# Behaviour: the metadata column `headers` has the type MAP<STRING, BYTES>. A record with the headers
#            a=1, b=null, a=2 becomes {a=2, b=null}: the last value of a name stays, its order and
#            its earlier values are gone. Nothing is logged.
# Instead:   `properties.interceptor.classes` names a ConsumerInterceptor that adds the list of all
#            headers to each record as one more header.
# Known:     documented as a map, but not that it loses headers:
#            https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/connectors/table/kafka/
# Output:    a line "SEEN ..." with what Flink's own converter returns. Exits 1 if it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/pom.xml" <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId><artifactId>flink-headers</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.flink</groupId><artifactId>flink-connector-kafka</artifactId><version>3.4.0-1.20</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-clients</artifactId><version>3.9.2</version></dependency>
    <dependency><groupId>org.apache.flink</groupId><artifactId>flink-table-common</artifactId><version>1.20.5</version></dependency>
  </dependencies>
</project>
XML
mvn -q -B -f "$folder/pom.xml" dependency:copy-dependencies -DoutputDirectory="$folder/jars"

cat > "$folder/Probe.java" <<'JAVA'
import org.apache.flink.table.data.GenericMapData;
import org.apache.flink.table.data.StringData;
import org.apache.kafka.clients.consumer.ConsumerRecord;

public class Probe {
    public static void main(String[] arguments) throws Exception {
        var record = new ConsumerRecord<byte[], byte[]>("topic", 0, 0, null, null);
        record.headers().add("a", "1".getBytes()).add("b", null).add("a", "2".getBytes());
        // The converter is private to the connector: KafkaDynamicSource.ReadableMetadata.HEADERS.
        var table = "org.apache.flink.streaming.connectors.kafka.table.";
        var metadata = Class.forName(table + "KafkaDynamicSource$ReadableMetadata").getEnumConstants()[2];
        var field = metadata.getClass().getDeclaredField("converter");
        field.setAccessible(true);
        var read = Class.forName(table + "DynamicKafkaDeserializationSchema$MetadataConverter")
                .getMethod("read", ConsumerRecord.class);
        read.setAccessible(true);
        var map = (GenericMapData) read.invoke(field.get(metadata), record);
        System.out.println(metadata + " of " + record.headers().toArray().length);
        System.out.println("entries " + map.size());
        System.out.println("a " + new String((byte[]) map.get(StringData.fromString("a"))));
        System.out.println("b " + map.get(StringData.fromString("b")));
    }
}
JAVA
seen=$(java -cp "$folder/jars/*" "$folder/Probe.java" 2>"$folder/log" | sed 's/^/SEEN /') || { cat "$folder/log" >&2; exit 1; }
echo "$seen"
expected=$'SEEN HEADERS of 3\nSEEN entries 2\nSEEN a 2\nSEEN b null'
[ "$seen" = "$expected" ] || { echo "changed: expected"$'\n'"$expected" >&2; exit 1; }
