package streaming.etl.files;

import java.io.IOException;
import java.util.Collection;
import java.util.function.Supplier;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.api.connector.sink2.CommitterInitContext;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.api.connector.sink2.SupportsCommitter;
import org.apache.flink.api.connector.sink2.SupportsWriterState;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.connector.file.sink.FileSinkCommittable;
import org.apache.flink.connector.file.sink.writer.FileWriterBucketState;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.streaming.api.functions.sink.filesystem.OutputFileConfig;
import org.apache.flink.types.Row;

/**
 * Flink's sink of files, for rows that are whole files. Exactly once.
 *
 * <p>Names end in `.parquet`. A client that submits the job needs no file system: Flink's sink alone
 * would open it as soon as Flink prints the graph.
 */
public class WholeFileSink
        implements Sink<Row>, SupportsWriterState<Row, FileWriterBucketState>, SupportsCommitter<FileSinkCommittable> {
    private static final long serialVersionUID = 1;

    /** How often the sink closes what it has written; see {@link FilePerRow}. */
    private static final long CHECK_MILLISECONDS = 1000;

    private final FileSink<Row> files;

    /** Create the sink of files below a path. */
    public WholeFileSink(String path) {
        files = FileSink.forBulkFormat(new Path(path), new WholeFile())
                .withBucketAssigner(new FolderOfRow())
                .withRollingPolicy(new FilePerRow())
                .withBucketCheckInterval(CHECK_MILLISECONDS)
                .withOutputFileConfig(OutputFileConfig.builder().withPartSuffix(".parquet").build())
                .build();
    }

    @Override
    @Deprecated
    public SinkWriter<Row> createWriter(InitContext context) throws IOException {
        return files.createWriter(context);
    }

    @Override
    public SinkWriter<Row> createWriter(WriterInitContext context) throws IOException {
        return files.createWriter(context);
    }

    @Override
    public StatefulSinkWriter<Row, FileWriterBucketState> restoreWriter(
            WriterInitContext context, Collection<FileWriterBucketState> state) throws IOException {
        return files.restoreWriter(context, state);
    }

    @Override
    public SimpleVersionedSerializer<FileWriterBucketState> getWriterStateSerializer() {
        return files.getWriterStateSerializer();
    }

    @Override
    public Committer<FileSinkCommittable> createCommitter(CommitterInitContext context) throws IOException {
        return files.createCommitter(context);
    }

    @Override
    public SimpleVersionedSerializer<FileSinkCommittable> getCommittableSerializer() {
        return new WhenUsed<>(files::getCommittableSerializer);
    }

    /** A serializer that is made when it is used first. */
    private static final class WhenUsed<T> implements SimpleVersionedSerializer<T> {
        private final Supplier<SimpleVersionedSerializer<T>> maker;
        private SimpleVersionedSerializer<T> made;

        private WhenUsed(Supplier<SimpleVersionedSerializer<T>> maker) {
            this.maker = maker;
        }

        @Override
        public int getVersion() {
            return made().getVersion();
        }

        @Override
        public byte[] serialize(T value) throws IOException {
            return made().serialize(value);
        }

        @Override
        public T deserialize(int version, byte[] serialized) throws IOException {
            return made().deserialize(version, serialized);
        }

        private SimpleVersionedSerializer<T> made() {
            if (made == null) {
                made = maker.get();
            }
            return made;
        }
    }
}
