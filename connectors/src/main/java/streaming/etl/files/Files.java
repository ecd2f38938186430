package streaming.etl.files;

import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.functions.sink.filesystem.OutputFileConfig;
import org.apache.flink.types.Row;

/** Flink's sink of files, for rows that are whole files. Exactly once. */
public final class Files {
    /** How often the sink closes what it has written; see {@link FilePerRow}. */
    private static final long CHECK_MILLISECONDS = 1000;

    private Files() {}

    /** Return the sink of files below a path, whose names end in `.parquet`. */
    public static FileSink<Row> sink(String path) {
        return FileSink.forBulkFormat(new Path(path), new WholeFile())
                .withBucketAssigner(new FolderOfRow())
                .withRollingPolicy(new FilePerRow())
                .withBucketCheckInterval(CHECK_MILLISECONDS)
                .withOutputFileConfig(OutputFileConfig.builder().withPartSuffix(".parquet").build())
                .build();
    }
}
