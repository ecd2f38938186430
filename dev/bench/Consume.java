import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import streaming.etl.headers.HeaderNames;
import streaming.etl.headers.HeaderValues;

/**
 * Reads a topic of one partition several times, in turn without and with the interceptor; then also
 * unpacks each list, as the archive does. Arguments: brokers, topic, rounds.
 *
 * <p>Prints the reading thread's CPU time in nanoseconds per record; the first round is warm-up.
 */
public class Consume {
    public static void main(String[] arguments) {
        List<String> modes = List.of("plain", "packed", "unpacked");
        Map<String, StringBuilder> shown = modes.stream().collect(Collectors.toMap(m -> m, StringBuilder::new));
        for (int round = 0; round <= Integer.parseInt(arguments[2]); round++) {
            for (String mode : modes) {
                long nanos = read(arguments[0], arguments[1], mode);
                if (round > 0) {
                    shown.get(mode).append(" ").append(nanos);
                }
            }
        }
        modes.forEach(mode -> System.out.println(shown.get(mode)));
    }

    private static long read(String brokers, String topic, String mode) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
        if (!mode.equals("plain")) {
            settings.put("interceptor.classes", "streaming.etl.headers.PackHeaders");
        }
        HeaderNames names = new HeaderNames();
        HeaderValues values = new HeaderValues();
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings)) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            long seen = 0;
            long bytes = 0;
            long started = cpuNanos();
            while (seen < end) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(10))) {
                    seen++;
                    // What Flink reads of the headers in any case.
                    for (Header header : record.headers()) {
                        bytes += header.key().length() + header.value().length;
                    }
                    if (mode.equals("unpacked") && record.headers().lastHeader("streaming-etl.headers") != null) {
                        byte[] list = record.headers().lastHeader("streaming-etl.headers").value();
                        bytes += names.eval(list).length + values.eval(list).length;
                    }
                }
            }
            long nanos = (cpuNanos() - started) / seen;
            return bytes < 0 ? -1 : nanos;
        }
    }

    private static long cpuNanos() {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }
}
