package streaming.etl.headers;

import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerInterceptor;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;

/**
 * Appends the list of a record's headers as one more header, before Flink makes a map of them.
 *
 * <p>Flink's map keeps the last value of each name. The appended header is the last one, so a
 * sender's header of the same name is in the list only. Records without headers are not changed.
 */
public final class PackHeaders implements ConsumerInterceptor<byte[], byte[]> {
    @Override
    public ConsumerRecords<byte[], byte[]> onConsume(ConsumerRecords<byte[], byte[]> records) {
        for (ConsumerRecord<byte[], byte[]> record : records) {
            Header[] headers = record.headers().toArray();
            if (headers.length > 0) {
                record.headers().add(HeaderList.NAME, HeaderList.pack(headers));
            }
        }
        return records;
    }

    @Override
    public void onCommit(Map<TopicPartition, OffsetAndMetadata> offsets) {}

    @Override
    public void close() {}

    @Override
    public void configure(Map<String, ?> configuration) {}
}
