import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import streaming.etl.headers.HeaderList;
import streaming.etl.headers.PackHeaders;
import streaming.etl.headers.UnpackHeaders;

/**
 * Consumes a record with the headers in the arguments (name and value in hex, - for null) and
 * produces it with a header of the job; the first argument is the prefix.
 *
 * <p>Prints the headers after each step, one a line.
 */
public class Headers {
    public static void main(String[] arguments) {
        System.out.println(HeaderList.NAME + " " + UnpackHeaders.PREFIX);
        ConsumerRecord<byte[], byte[]> consumed = new ConsumerRecord<>("topic", 0, 0, null, null);
        for (int at = 1; at < arguments.length; at += 2) {
            String name = new String(bytes(arguments[at]), StandardCharsets.UTF_8);
            consumed.headers().add(name, bytes(arguments[at + 1]));
        }
        List<ConsumerRecord<byte[], byte[]>> records = List.of(consumed);
        new PackHeaders().onConsume(new ConsumerRecords<>(Map.of(new TopicPartition("topic", 0), records)));
        print("consumed", consumed.headers());

        UnpackHeaders unpack = new UnpackHeaders();
        unpack.configure(arguments[0].isEmpty() ? Map.of() : Map.of(UnpackHeaders.PREFIX, arguments[0]));
        ProducerRecord<byte[], byte[]> produced = new ProducerRecord<>("topic", new byte[0]);
        Header list = consumed.headers().lastHeader(HeaderList.NAME);
        produced.headers().add("ours", new byte[0]);
        produced.headers().add(HeaderList.NAME, list == null ? null : list.value());
        print("produced", unpack.onSend(produced).headers());
    }

    private static byte[] bytes(String hex) {
        return hex.equals("-") ? null : HexFormat.of().parseHex(hex);
    }

    private static void print(String when, Iterable<Header> headers) {
        for (Header header : headers) {
            String value = header.value() == null ? "-" : HexFormat.of().formatHex(header.value());
            String name = HexFormat.of().formatHex(header.key().getBytes(StandardCharsets.UTF_8));
            System.out.println(when + " " + name + ":" + value);
        }
    }
}
