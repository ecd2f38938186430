package streaming.etl.files;

import org.apache.flink.streaming.api.functions.sink.filesystem.PartFileInfo;
import org.apache.flink.streaming.api.functions.sink.filesystem.rollingpolicies.CheckpointRollingPolicy;
import org.apache.flink.types.Row;

/**
 * Makes a file of each row.
 *
 * <p>Flink asks before it writes the next row of a folder, and at each check of all folders: the
 * check closes a folder's last file, which would else stay open until the checkpoint.
 */
public final class FilePerRow extends CheckpointRollingPolicy<Row, String> {
    private static final long serialVersionUID = 1;

    @Override
    public boolean shouldRollOnEvent(PartFileInfo<String> open, Row next) {
        return true;
    }

    @Override
    public boolean shouldRollOnProcessingTime(PartFileInfo<String> open, long now) {
        return true;
    }
}
