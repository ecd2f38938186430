package streaming.etl.files;

/** The fields of a row that is one file: its step, its folder below the step's path, its bytes. */
final class FileRow {
    static final int STEP = 0;
    static final int FOLDER = 1;
    static final int FILE = 2;

    private FileRow() {}
}
