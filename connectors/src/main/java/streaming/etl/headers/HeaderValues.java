package streaming.etl.headers;

import java.util.Arrays;
import org.apache.flink.table.functions.ScalarFunction;
import org.apache.kafka.common.header.Header;

/** SQL function: the values in a list of headers, in their order; null for null. */
public final class HeaderValues extends ScalarFunction {
    public byte[][] eval(byte[] packed) {
        return packed == null
                ? null
                : Arrays.stream(HeaderList.unpack(packed)).map(Header::value).toArray(byte[][]::new);
    }
}
