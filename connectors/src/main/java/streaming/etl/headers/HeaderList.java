package streaming.etl.headers;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.utils.ByteUtils;

/**
 * All headers of a record in one value: their order, repeated names and null values.
 *
 * <p>The encoding is that of Kafka's record format (the number of headers, then for each the length
 * and bytes of name and value, -1 for null), so the value is no larger than the headers themselves.
 */
public final class HeaderList {
    /** The header that holds the list; connectors/kafka/headers.py has the same name. */
    public static final String NAME = "streaming-etl.headers";

    private static final int NULL = -1;

    private HeaderList() {}

    /** Encode headers. */
    public static byte[] pack(Header[] headers) {
        byte[][] names = new byte[headers.length][];
        int size = ByteUtils.sizeOfVarint(headers.length);
        for (int i = 0; i < headers.length; i++) {
            names[i] = headers[i].key().getBytes(StandardCharsets.UTF_8);
            size += sizeOf(names[i]) + sizeOf(headers[i].value());
        }
        ByteBuffer packed = ByteBuffer.allocate(size);
        ByteUtils.writeVarint(headers.length, packed);
        for (int i = 0; i < headers.length; i++) {
            write(names[i], packed);
            write(headers[i].value(), packed);
        }
        return packed.array();
    }

    /** Decode headers. */
    public static Header[] unpack(byte[] packed) {
        ByteBuffer unread = ByteBuffer.wrap(packed);
        Header[] headers = new Header[ByteUtils.readVarint(unread)];
        for (int i = 0; i < headers.length; i++) {
            String name = new String(read(unread), StandardCharsets.UTF_8);
            headers[i] = new RecordHeader(name, read(unread));
        }
        return headers;
    }

    private static int sizeOf(byte[] value) {
        return value == null ? ByteUtils.sizeOfVarint(NULL) : ByteUtils.sizeOfVarint(value.length) + value.length;
    }

    private static void write(byte[] value, ByteBuffer packed) {
        ByteUtils.writeVarint(value == null ? NULL : value.length, packed);
        if (value != null) {
            packed.put(value);
        }
    }

    private static byte[] read(ByteBuffer unread) {
        int length = ByteUtils.readVarint(unread);
        if (length == NULL) {
            return null;
        }
        byte[] value = new byte[length];
        unread.get(value);
        return value;
    }
}
