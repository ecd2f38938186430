import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.SinkFunction;
import org.apache.flink.streaming.api.functions.source.SourceFunction;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import streaming.etl.files.OfStep;
import streaming.etl.files.SplitStreams;
import streaming.etl.files.SuccessSink;
import streaming.etl.files.Ticks;
import streaming.etl.files.WholeFileSink;

/**
 * `split CELL` prints the key and the data (in hex) of each stream of a cell (in hex).
 *
 * <p>`write PATH FOLDER DATA [FOLDER DATA ...]` runs a job that writes each data (in hex) as a file
 * of the step "mine", and one file of another step, which it must leave out. `success` instead of
 * `write` also writes `_SUCCESS` into each folder.
 *
 * <p>`ticks KEY DATA` runs a job with one stream, whose input ends when a tick came. It prints all
 * that came but further ticks.
 */
public class Files {
    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("split")) {
            split(HexFormat.of().parseHex(arguments[1]));
        } else if (arguments[0].equals("ticks")) {
            ticks(Row.of(arguments[1], HexFormat.of().parseHex(arguments[2])));
        } else {
            write(arguments);
        }
    }

    private static void split(byte[] cell) throws Exception {
        List<Row> rows = new ArrayList<>();
        new SplitStreams().flatMap(GenericRowData.of(cell), new Rows(rows));
        java.util.Arrays.fill(cell, (byte) 0);  // as the next row in the same buffer does
        for (Row row : rows) {
            System.out.println(shown(row));
        }
    }

    private static String shown(Row row) {
        return row.getField(0) + " " + HexFormat.of().formatHex((byte[]) row.getField(1));
    }

    private static void ticks(Row stream) throws Exception {
        TypeInformation<Row> type = new SplitStreams().getProducedType();
        StreamExecutionEnvironment job = StreamExecutionEnvironment.createLocalEnvironment(1);
        job.getConfig().enableObjectReuse();
        job.addSource(new UntilTick(stream))
                .returns(type)
                .keyBy(row -> Row.of(row.getField(0)), Types.ROW(Types.STRING))
                .process(new Ticks())
                .addSink(new Shown());
        job.execute();
    }

    /** One stream; the input ends when its tick came. */
    private static final class UntilTick implements SourceFunction<Row> {
        private static final CountDownLatch TICKED = new CountDownLatch(1);
        private final Row stream;

        private UntilTick(Row stream) {
            this.stream = stream;
        }

        @Override
        public void run(SourceContext<Row> context) throws Exception {
            context.collect(stream);
            TICKED.await();
        }

        @Override
        public void cancel() {
            TICKED.countDown();
        }
    }

    private static final class Shown implements SinkFunction<Row> {
        @Override
        public void invoke(Row row, Context context) {
            boolean isTick = ((byte[]) row.getField(1)).length == 0;
            if (!isTick || UntilTick.TICKED.getCount() > 0) {
                System.out.println(shown(row));
            }
            if (isTick) {
                UntilTick.TICKED.countDown();
            }
        }
    }

    private static void write(String[] arguments) throws Exception {
        List<Row> rows = new ArrayList<>();
        for (int at = 2; at < arguments.length; at += 2) {
            rows.add(Row.of("mine", arguments[at], HexFormat.of().parseHex(arguments[at + 1])));
        }
        rows.add(Row.of("other", "other", "no".getBytes(StandardCharsets.UTF_8)));
        StreamExecutionEnvironment job = StreamExecutionEnvironment.createLocalEnvironment(1);
        job.getConfig().enableObjectReuse();
        DataStream<Row> files = job.fromCollection(
                rows, Types.ROW(Types.STRING, Types.STRING, Types.PRIMITIVE_ARRAY(Types.BYTE)));
        WholeFileSink sink =
                arguments[0].equals("write") ? new WholeFileSink(arguments[1]) : new SuccessSink(arguments[1]);
        files.filter(new OfStep("mine")).sinkTo(sink).uid("mine-files");
        job.execute();
    }

    private static final class Rows implements Collector<Row> {
        private final List<Row> rows;

        private Rows(List<Row> rows) {
            this.rows = rows;
        }

        @Override
        public void collect(Row row) {
            rows.add(row);
        }

        @Override
        public void close() {}
    }
}
