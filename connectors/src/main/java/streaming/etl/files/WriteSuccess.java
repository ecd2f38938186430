package streaming.etl.files;

import java.io.IOException;
import java.util.HashSet;
import java.util.Set;
import org.apache.flink.connector.file.sink.FileSinkCommittable;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.connector.sink2.CommittableMessage;
import org.apache.flink.streaming.api.connector.sink2.CommittableWithLineage;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;

/** Writes an empty `_SUCCESS` into each folder of committed files, once for each checkpoint. */
final class WriteSuccess extends ProcessFunction<CommittableMessage<FileSinkCommittable>, Void> {
    private static final long serialVersionUID = 1;

    private final String path;
    private transient Set<String> written;
    private transient long checkpoint;

    WriteSuccess(String path) {
        this.path = path;
    }

    @Override
    public void processElement(
            CommittableMessage<FileSinkCommittable> message, Context context, Collector<Void> none)
            throws IOException {
        if (!(message instanceof CommittableWithLineage)) {
            return;
        }
        if (written == null || checkpoint != message.getCheckpointIdOrEOI()) {
            written = new HashSet<>();
            checkpoint = message.getCheckpointIdOrEOI();
        }
        String folder = ((CommittableWithLineage<FileSinkCommittable>) message).getCommittable().getBucketId();
        if (written.add(folder)) {
            Path file = new Path(new Path(path, folder), "_SUCCESS");
            file.getFileSystem().create(file, FileSystem.WriteMode.OVERWRITE).close();
        }
    }
}
