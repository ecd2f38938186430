"""The lake written by Spark Structured Streaming; run by the bench's interpreter.

`spark_job.py SERVERS TOPIC OUTPUT JARS SETTINGS` with SETTINGS `default` or `tuned`. Prints one
line of JSON: when the query began, in epoch seconds.
"""

from __future__ import annotations

import json
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

FIELDS = """trip_id BIGINT, type STRING, vendor_id INT, pickup_datetime TIMESTAMP,
dropoff_datetime TIMESTAMP, passenger_count INT, trip_distance DOUBLE, ratecode_id INT,
store_and_fwd_flag STRING, pickup_location_id INT, dropoff_location_id INT, payment_type INT,
fare_amount DOUBLE, extra DOUBLE, mta_tax DOUBLE, tip_amount DOUBLE, tolls_amount DOUBLE,
improvement_surcharge DOUBLE, total_amount DOUBLE, padding STRING, congestion_surcharge DOUBLE,
airport_fee DOUBLE, cbd_congestion_fee DOUBLE"""
KEYS = ("pickup_location", "year", "month")
TUNED = {
    # As our own lake: no dictionaries, ZSTD at its fastest level, timestamps of milliseconds.
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.hadoop.parquet.compression.codec.zstd.level": "1",
    "spark.hadoop.parquet.enable.dictionary": "false",
    "spark.hadoop.parquet.page.size": "65536",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MILLIS",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.streaming.metricsEnabled": "false",
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
}

A_MINUTE = 2_500_000
"""Records of a micro-batch, so that a longer run commits about as often as Flink does."""


def main(servers: str, topic: str, output: str, jars: str, settings: str) -> None:
    tuned = settings == "tuned"
    builder = SparkSession.builder.master("local[2]").appName("bench")
    common = {
        "spark.jars": jars,
        "spark.driver.memory": "2g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
    }
    for key, value in (common | (TUNED if tuned else {})).items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    records = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", servers)
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
    )
    if tuned:
        records = records.option("maxOffsetsPerTrigger", A_MINUTE)
    records = records.load()
    event = f.from_json(f.col("value").cast("string"), FIELDS).alias("e")
    rows = records.select(event, "topic", "partition", "offset", "timestamp").select(
        "e.*",
        f.col("topic").alias("source_topic"),
        f.col("partition").alias("source_partition"),
        f.col("offset").alias("source_offset"),
        f.col("timestamp").alias("arrival_time"),
        f.lit(1).alias("schema_version"),
        f.lpad(f.col("e.pickup_location_id").cast("string"), 3, "0").alias(KEYS[0]),
        f.date_format("e.pickup_datetime", "yyyy").alias(KEYS[1]),
        f.date_format("e.pickup_datetime", "MM").alias(KEYS[2]),
    )
    if tuned:
        # Each partition has one writer, as the lake's has: a quarter of the files.
        rows = rows.repartition(2, *KEYS)
    began = time.time()
    query = (
        rows.writeStream.format("parquet")
        .partitionBy(*KEYS)
        .option("path", output)
        .option("checkpointLocation", output + "-checkpoint")
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    print(json.dumps({"began": began}), flush=True)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
