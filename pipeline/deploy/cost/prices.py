"""Prices of AWS in US dollars, each with the page that it was taken from.

AWS changes prices, and each region has its own: `streaming-etl estimate --price NAME=USD` and
`--prices FILE` replace them. No price was read in an account: the pages were stored copies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from connectors.errors import Mistakes, UserError
from connectors.text_files import parse_json, read_text, shown

REGION: Final = "us-east-1"

Basis = Literal["aws", "quoted", "memory", "yours"]
"""aws: a page or a repository of AWS says it. quoted: a page of someone else says it. memory: no
page was found; it is remembered from AWS's published price list, and must be checked. yours: given
by the user."""


@dataclass(frozen=True, slots=True)
class Price:
    """A price: `usd` for one `unit`, as `source` said on `as_of`, which is empty if undated.

    A GB is 2**30 bytes, as AWS bills it.
    """

    name: str
    usd: float
    unit: str
    basis: Basis
    source: str
    as_of: str = ""


_FLINK: Final = (
    'pricing page of the service, its examples, as transcribed in api-evangelist/kinesis; "MSF'
    ' Pricing Calculator" in aws/agent-toolkit-for-aws'
)
_ON_DEMAND: Final = 'AWS Big Data Blog, "Kinesis On-demand Advantage saves 60%+ on streaming costs"'
_STREAM: Final = 'c3x.dev, "aws_kinesis_stream cost estimation"'
_OFFER: Final = "AWS Price List, offer file AmazonES, as copied into a public repository"
_MEMORY: Final = "price list of AWS; unnamed tables in public code have the same"
_DIMENSIONS: Final = 'factualminds.com, "Amazon CloudWatch Pricing: The 10 Billing Dimensions"'
_KEYS: Final = 'gist of dasgoll, "KMS Pricing example"'

PRICES: Final = (
    Price("kpu_hour", 0.11, "KPU-hour", "aws", _FLINK, "2026-09-20"),
    Price("flink_storage", 0.10, "GB-month", "aws", _FLINK, "2026-09-20"),
    Price("flink_backup", 0.023, "GB-month", "aws", _FLINK, "2026-09-20"),
    Price("stream_hour", 0.04, "stream-hour", "aws", _ON_DEMAND, "2026-03-09"),
    Price("stream_in", 0.08, "GB", "aws", _ON_DEMAND, "2026-03-09"),
    Price("stream_out", 0.04, "GB", "quoted", _STREAM),
    Price("stream_extended", 0.10, "GB-month", "aws", _ON_DEMAND, "2026-03-09"),
    Price("stream_long_term", 0.023, "GB-month", "memory", _MEMORY),
    Price("shard_hour", 0.015, "shard-hour", "quoted", _STREAM),
    Price("shard_extended", 0.02, "shard-hour", "quoted", _STREAM),
    Price("put_units", 0.014, "million units", "quoted",
          'EveryMundo/aws-kinesis-client, "Save Money on Kinesis Streams usage"'),
    Price("s3_storage", 0.023, "GB-month", "quoted",
          'cloudburn.io, "Amazon S3 Pricing Explained"', "2026-03-13"),
    Price("s3_put", 0.005, "1,000 requests", "memory", _MEMORY),
    Price("s3_event", 1.00, "million events", "memory",
          "price list of AWS, opt-in events of EventBridge; other sites call events of S3 free"),
    Price("search_node_hour", 0.167, "node-hour", "quoted", f"{_OFFER}; r6g.large.search",
          "2026-10-05"),
    Price("search_gp3", 0.122, "GB-month", "quoted", _OFFER, "2026-10-05"),
    Price("metric", 0.30, "metric-month", "quoted",
          'signoz.io, "CloudWatch Pricing Without the Confusion"', "2026-02-15"),
    Price("alarm_metric", 0.10, "metric-month", "quoted",
          'c3x.dev, "aws_cloudwatch_metric_alarm cost estimation"'),
    Price("query_metric", 0.10, "metric-month", "memory", _MEMORY),
    Price("dashboard", 3.00, "dashboard-month", "quoted", _DIMENSIONS, "2026-06-13"),
    Price("log_in", 0.50, "GB", "quoted", _DIMENSIONS, "2026-06-13"),
    Price("log_storage", 0.03, "GB-month", "quoted",
          'api-evangelist/cloudwatch, "cloudwatch plans pricing"', "2026-05-05"),
    Price("kms_requests", 0.03, "10,000 requests", "quoted", _KEYS, "2019-10-30"),
    Price("kms_key", 1.00, "key-month", "quoted", _KEYS, "2019-10-30"),
    Price("broker_hour", 0.204, "broker-hour", "memory", f"{_MEMORY}; kafka.m7g.large"),
    Price("broker_storage", 0.10, "GB-month", "memory", _MEMORY),
)  # fmt: skip

BY_NAME: Final = {price.name: price for price in PRICES}
_HIGHEST: Final = 1_000_000


def with_own(own: Mapping[str, float]) -> dict[str, Price]:
    """Return all prices by name, the user's in place of ours.

    Raises:
        UserError: a name is not one of ours, or a price is not possible; all mistakes at once.
    """
    mistakes, prices = Mistakes(), dict(BY_NAME)
    for name, usd in own.items():
        with mistakes.collected():
            prices[name] = _own(name, usd)
    mistakes.report()
    return prices


def read_file(path: Path) -> dict[str, float]:
    """Return the prices in a file of JSON: an object of names and US dollars.

    Raises:
        UserError: the file can't be read, or is something else.
    """
    found = parse_json(read_text(path, " Give --prices a file of JSON."), str(path))
    example = '{"kpu_hour": 0.12}'
    if not isinstance(found, dict):
        raise UserError(f"{path}: is {shown(found)}, not an object such as {example}")
    for name, usd in found.items():
        if isinstance(usd, bool) or not isinstance(usd, int | float):
            raise UserError(f"{path}: {shown(name)} is {shown(usd)}; give a number: {example}")
    return {name: float(usd) for name, usd in found.items()}


def _own(name: str, usd: float) -> Price:
    if name not in BY_NAME:
        raise UserError(f"price {shown(name)} is unknown; known are {', '.join(BY_NAME)}")
    if not 0 <= usd <= _HIGHEST:  # also not a number
        raise UserError(f"price {name} is {usd:g}; allowed are 0 to {_HIGHEST:,} US dollars")
    return Price(name, usd, BY_NAME[name].unit, "yours", "given")
