package streaming.etl.files;

import java.util.Arrays;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.streaming.api.functions.sink.filesystem.BucketAssigner;
import org.apache.flink.streaming.api.functions.sink.filesystem.bucketassigners.SimpleVersionedStringSerializer;
import org.apache.flink.types.Row;

/** Puts a file into the folder that its row names, which must lie below the sink's path. */
public final class FolderOfRow implements BucketAssigner<Row, String> {
    private static final long serialVersionUID = 1;

    @Override
    public String getBucketId(Row row, Context context) {
        String folder = (String) row.getField(FileRow.FOLDER);
        if (folder.startsWith("/") || Arrays.asList(folder.split("/")).contains("..")) {
            throw new IllegalArgumentException("a file's folder is not below the sink's path: " + folder);
        }
        return folder;
    }

    @Override
    public SimpleVersionedSerializer<String> getSerializer() {
        return SimpleVersionedStringSerializer.INSTANCE;
    }
}
