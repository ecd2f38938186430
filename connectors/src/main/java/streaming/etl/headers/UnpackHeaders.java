package streaming.etl.headers;

import java.util.Map;
import org.apache.kafka.clients.producer.ProducerInterceptor;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;

/**
 * Writes the headers of a list in its place, in their order, and before all others: readers that
 * take the last value of a name get the job's.
 *
 * <p>With a prefix, each name of the list begins with it. If the prefixes alone are too many bytes
 * for what the topic's limit allows beside a record, the list stays as it is.
 */
public final class UnpackHeaders implements ProducerInterceptor<byte[], byte[]> {
    /** The producer's property that holds the prefix. */
    public static final String PREFIX = "streaming-etl.headers.prefix";

    /** How many bytes the prefixes may add to a record. */
    public static final int PREFIXES_BYTES = 4096;

    private String prefix = "";

    @Override
    public void configure(Map<String, ?> configuration) {
        Object configured = configuration.get(PREFIX);
        prefix = configured == null ? "" : configured.toString();
    }

    @Override
    public ProducerRecord<byte[], byte[]> onSend(ProducerRecord<byte[], byte[]> record) {
        Header list = record.headers().lastHeader(HeaderList.NAME);
        if (list == null) {
            return record;
        }
        RecordHeaders headers = new RecordHeaders();
        if (list.value() != null) {
            addAll(list, headers);
        }
        for (Header header : record.headers()) {
            if (!header.key().equals(HeaderList.NAME)) {
                headers.add(header);
            }
        }
        return new ProducerRecord<>(
                record.topic(), record.partition(), record.timestamp(), record.key(), record.value(), headers);
    }

    private void addAll(Header list, RecordHeaders headers) {
        Header[] own = HeaderList.unpack(list.value());
        if ((long) own.length * prefix.length() > PREFIXES_BYTES) {
            headers.add(list);
            return;
        }
        for (Header header : own) {
            headers.add(prefix + header.key(), header.value());
        }
    }

    @Override
    public void onAcknowledgement(RecordMetadata metadata, Exception failure) {}

    @Override
    public void close() {}
}
