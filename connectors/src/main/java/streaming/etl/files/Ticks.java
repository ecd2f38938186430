package streaming.etl.files;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.streaming.api.TimeDomain;
import org.apache.flink.streaming.api.TimerService;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Passes streams on, and after them a tick for each of their keys every second, and an end when the
 * input ends or the job is drained.
 *
 * <p>The Python function behind it has no timers of its own, because a checkpoint of PyFlink's lacks
 * those that were registered in the last bundle before it: after a failure they would never fire.
 * findings/pyflink_checkpoint_lacks_timers.sh shows it. Java's timers are in every checkpoint.
 */
public final class Ticks extends KeyedProcessFunction<Row, Row, Row> implements ResultTypeQueryable<Row> {
    private static final long serialVersionUID = 1;

    private static final long MILLISECONDS = 1000;

    // No stream of Arrow's is so short; pipeline/collect/stream.py has both.
    private static final byte[] TICK = {};
    private static final byte[] END = {1};

    private transient ValueState<Boolean> ticks;

    @Override
    public void open(OpenContext context) {
        ticks = getRuntimeContext().getState(new ValueStateDescriptor<>("ticks", Types.BOOLEAN));
    }

    @Override
    public void processElement(Row stream, Context context, Collector<Row> rows) throws Exception {
        if (ticks.value() == null) {
            ticks.update(true);
            TimerService timers = context.timerService();
            tickAfter(timers.currentProcessingTime(), timers);
            timers.registerEventTimeTimer(Long.MAX_VALUE);
        }
        rows.collect(stream);
    }

    @Override
    public void onTimer(long time, OnTimerContext context, Collector<Row> rows) throws Exception {
        if (context.timeDomain() == TimeDomain.EVENT_TIME) {
            ticks.clear(); // A job that goes on from the drained savepoint begins again.
            rows.collect(Row.of(context.getCurrentKey().getField(0), END));
        } else if (ticks.value() != null) {
            tickAfter(context.timerService().currentProcessingTime(), context.timerService());
            rows.collect(Row.of(context.getCurrentKey().getField(0), TICK));
        }
    }

    @Override
    public TypeInformation<Row> getProducedType() {
        return Types.ROW(Types.STRING, Types.PRIMITIVE_ARRAY(Types.BYTE));
    }

    private static void tickAfter(long now, TimerService timers) {
        timers.registerProcessingTimeTimer(now - now % MILLISECONDS + MILLISECONDS);
    }
}
