"""A job that needs Python workers: numbers through a vectorised function, to nowhere, for ever."""

from pyflink.table import DataTypes, EnvironmentSettings, TableEnvironment
from pyflink.table.udf import udf

NUMBERS = """
    CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10')
"""
NOWHERE = "CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole')"


@udf(result_type=DataTypes.BIGINT(), func_type="pandas")
def doubled(numbers):  # type: ignore[no-untyped-def]
    """Each number twice."""
    return numbers * 2


table = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
table.execute_sql(NUMBERS)
table.execute_sql(NOWHERE)
table.create_temporary_function("doubled", doubled)
table.execute_sql("INSERT INTO nowhere SELECT doubled(n) FROM numbers")
