"""From batches of rows to files: streams, the keys that collect them, and closing. No Flink."""
