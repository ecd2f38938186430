package streaming.etl.files;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.table.data.RowData;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Splits a cell of streams into rows of a key and its stream, as PyFlink's keyed operators expect.
 *
 * <p>A cell repeats a key and a stream, each with its length before it (32 bits, big endian);
 * pipeline/collect/stream.py packs it. The rows own their bytes, since the cell's may be used again.
 */
public final class SplitStreams implements FlatMapFunction<RowData, Row>, ResultTypeQueryable<Row> {
    private static final long serialVersionUID = 1;

    @Override
    public void flatMap(RowData row, Collector<Row> rows) {
        ByteBuffer unread = ByteBuffer.wrap(row.getBinary(0));
        while (unread.hasRemaining()) {
            String key = new String(next(unread), StandardCharsets.UTF_8);
            rows.collect(Row.of(key, next(unread)));
        }
    }

    @Override
    public TypeInformation<Row> getProducedType() {
        return Types.ROW(Types.STRING, Types.PRIMITIVE_ARRAY(Types.BYTE));
    }

    private static byte[] next(ByteBuffer unread) {
        int length = unread.remaining() < Integer.BYTES ? -1 : unread.getInt();
        if (length < 0 || length > unread.remaining()) {
            throw new IllegalArgumentException("a cell of streams is damaged");
        }
        byte[] value = new byte[length];
        unread.get(value);
        return value;
    }
}
