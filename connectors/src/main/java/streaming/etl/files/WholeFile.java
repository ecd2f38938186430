package streaming.etl.files;

import java.io.IOException;
import org.apache.flink.api.common.serialization.BulkWriter;
import org.apache.flink.core.fs.FSDataOutputStream;
import org.apache.flink.types.Row;

/** Writes the bytes of one row, which are a whole file already. */
public final class WholeFile implements BulkWriter.Factory<Row> {
    private static final long serialVersionUID = 1;

    @Override
    public BulkWriter<Row> create(FSDataOutputStream file) {
        return new Writer(file);
    }

    private static final class Writer implements BulkWriter<Row> {
        private final FSDataOutputStream file;
        private boolean written;

        private Writer(FSDataOutputStream file) {
            this.file = file;
        }

        @Override
        public void addElement(Row row) throws IOException {
            if (written) {
                throw new IllegalStateException("a second row for one file: the rolling policy is not FilePerRow");
            }
            written = true;
            file.write((byte[]) row.getField(FileRow.FILE));
        }

        @Override
        public void flush() throws IOException {
            file.flush();
        }

        @Override
        public void finish() throws IOException {
            flush();
        }
    }
}
