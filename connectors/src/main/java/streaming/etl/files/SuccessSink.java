package streaming.etl.files;

import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.connector.file.sink.FileSinkCommittable;
import org.apache.flink.streaming.api.connector.sink2.CommittableMessage;
import org.apache.flink.streaming.api.connector.sink2.SupportsPostCommitTopology;
import org.apache.flink.streaming.api.datastream.DataStream;

/** A sink that writes `_SUCCESS` into a folder after it has committed files to it. */
public final class SuccessSink extends WholeFileSink implements SupportsPostCommitTopology<FileSinkCommittable> {
    private static final long serialVersionUID = 1;

    private final String path;

    /** Create the sink of files below a path. */
    public SuccessSink(String path) {
        super(path);
        this.path = path;
    }

    @Override
    public void addPostCommitTopology(DataStream<CommittableMessage<FileSinkCommittable>> committed) {
        committed
                .process(new WriteSuccess(path))
                .returns(Types.VOID)
                .setParallelism(committed.getParallelism())
                .name("success")
                .uid("success");
    }
}
