package streaming.etl.files;

import org.apache.flink.api.common.functions.FilterFunction;
import org.apache.flink.types.Row;

/** Keeps the files of one step. */
public final class OfStep implements FilterFunction<Row> {
    private static final long serialVersionUID = 1;

    private final String step;

    public OfStep(String step) {
        this.step = step;
    }

    @Override
    public boolean filter(Row row) {
        return step.equals(row.getField(FileRow.STEP));
    }
}
