package streaming.etl.headers;

import org.apache.flink.table.functions.ScalarFunction;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** SQL function: the list of headers with these names and values; null for null. */
public final class PackedHeaders extends ScalarFunction {
    public byte[] eval(String[] names, byte[][] values) {
        if (names == null || values == null) {
            return null;
        }
        Header[] headers = new Header[names.length];
        for (int i = 0; i < headers.length; i++) {
            headers[i] = new RecordHeader(names[i], values[i]);
        }
        return HeaderList.pack(headers);
    }
}
