"""Translate the original application's properties: a table from old names to keys.

Valid properties keep their meaning. Mistakes that the original ignored silently are refused: a
misspelt name, half of a pair, one value given twice and differently.
"""

from __future__ import annotations

import copy
import difflib
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from connectors.errors import UserError

GROUP = "FlinkApplicationProperties"
_PAGE = "docs/from-the-original.md"
_Setting = tuple[str, str, Any]  # who says it, our key, its value
_LOG = logging.getLogger(__name__)
_STARTS = {"LATEST": "latest", "TRIM_HORIZON": "trim_horizon", "AT_TIMESTAMP": "at_timestamp"}
_OTHER_REGION = (
    "; a stream of another region is given by its ARN: leave OutputKinesisStream and"
    " OutputStreamRegion out and add a group replicate.kinesis with kinesis_stream"
)


def _one_of(choices: Mapping[str, Any]) -> Callable[[str], Any]:
    def chosen(text: str) -> Any:
        if text not in choices:
            raise ValueError(f"give {' or '.join(choices)}")
        return choices[text]

    return chosen


def _list(text: str) -> list[str]:
    return [text]


def _parquet(text: str) -> None:
    if text.lower() != "true":
        raise ValueError("the lake is Parquet only; leave it out, the archive keeps the JSON")


def _up_to(limit: int, unit: int = 1) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not re.fullmatch(r"[1-9][0-9]{0,8}", text) or int(text) > limit:
            raise ValueError(f"give a whole number, 1 to {limit}")
        return int(text) * unit

    return number


def _base(text: str) -> str:
    if not (match := re.fullmatch(r"s3a?://([^/\s]+)((?:/\S*)?)", text)):
        raise ValueError("give a whole URI, s3://bucket/prefix/")
    return f"s3a://{match[1]}{match[2].rstrip('/')}"


class Property(NamedTuple):
    """A property: its key here, what differs, its parser, what it needs, what else it sets."""

    key: str
    note: str
    value: Callable[[str], Any] = str
    needs: str = ""
    also: tuple[str, ...] = ()

    @property
    def ours(self) -> tuple[str, ...]:
        """The keys that it sets."""
        return (self.key, *self.also)


_SAFE = "Beyond 127.0.0.1 it needs a group `{}` with `security`."
_REGION = "Default: `AWS_REGION`; refused if that is not set either."
_FOLDERS = ("archive.path", "dead_letters.path")
# fmt: off
PROPERTIES: Mapping[str, Property] = {
    "InputKinesisStream": Property("source.kinesis_streams",
        "May be combined with a Kafka topic; both are read.", _list),
    "InputStreamRegion": Property("kinesis.region", _REGION),
    "InputStreamInitalPosition": Property("source.kinesis_start",
        "The original's misspelling. Default: `trim_horizon`, not `LATEST`.", _one_of(_STARTS)),
    "InputStreamInitialPosition": Property("source.kinesis_start",
        "`LATEST`, `TRIM_HORIZON` or `AT_TIMESTAMP`.", _one_of(_STARTS)),
    "TimestampPosition": Property("source.kinesis_start_timestamp",
        "With `AT_TIMESTAMP`: ISO-8601 with offset. The original read no timestamp."),
    "InputKafkaBootstrapServers": Property("kafka.bootstrap_servers",
        _SAFE.format("kafka"), needs="source.kafka_topics"),
    "InputKafkaTopic": Property("source.kafka_topics",
        "Starts at `earliest`, not at the group's offsets.", _list, "kafka.bootstrap_servers"),
    "OutputBucket": Property("lake.path",
        "Folders `lake`, `archive`, `dead-letters` below it.", _base, also=_FOLDERS),
    "OutputPrefix": Property("lake.path",
        "Between `OutputBucket` and those folders.", also=_FOLDERS),
    "ParquetConversion": Property("lake", "`true` or absent; `false` is refused.", _parquet),
    "OutputElasticsearchEndpoint": Property("index.url",
        "Signed (`sigv4`) unless a group `index` sets another `auth`.", also=("index.auth",)),
    "ElasticsearchRegion": Property("index.region", _REGION, needs="index.url"),
    "ElasticsearchBulkFlushMaxSizeMb": Property("index.max_bytes",
        "In MiB, converted to bytes; at most 9.", _up_to(9, 1 << 20), "index.url"),
    "ElasticsearchBulkFlushMaxActions": Property("index.max_documents",
        "At most 10000; -1 is refused.", _up_to(10_000), "index.url"),
    "ElasticsearchBulkFlushInterval": Property("job.bundle_milliseconds",
        "Applies to all Python steps, not only the index.", _up_to(999_999_999)),
    "OutputKinesisStream": Property("replicate.kinesis.kinesis_stream",
        "The original sent every record to one shard."),
    "OutputStreamRegion": Property("kinesis.region",
        "Must be the input stream's region. Default: `AWS_REGION`."),
    "OutputKafkaBootstrapServers": Property("clusters.output.bootstrap_servers",
        _SAFE.format("clusters.output"), needs="replicate.kafka.kafka_topic"),
    "OutputKafkaTopic": Property("replicate.kafka.kafka_topic",
        "Exactly once by transactions; the cluster is `output`.",
        needs="clusters.output.bootstrap_servers", also=("replicate.kafka.kafka_cluster",)),
    "OutputDiscarding": Property("job.discard", "`true` or `false`, taken literally.",
        _one_of({"true": True, "false": False})),
}
# fmt: on


def translate(properties: Mapping[str, str], own: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the sections `own`, completed by the original's properties.

    Raises:
        UserError: an unknown name, half of a pair, an invalid value, or two that disagree.
    """
    try:
        found = _translated(properties, own)
    except UserError as error:
        raise UserError(f"{where}: group {GROUP}: {error} See {_PAGE}.") from error
    for name in properties:
        _LOG.warning("%s is deprecated; use %s", name, ", ".join(PROPERTIES[name].ours))
    return found


def properties_table() -> str:
    """Return the table of docs/from-the-original.md."""
    rows = ["| property | key | what differs |", "| --- | --- | --- |"]
    rows += [f"| `{k}` | `{'`, `'.join(v.ours)}` | {v.note} |" for k, v in PROPERTIES.items()]
    return "\n".join(rows) + "\n"


def _translated(properties: Mapping[str, str], own: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_unknown(properties)
    found, said = copy.deepcopy(dict(own)), dict[str, str]()
    for setting in (*_settings(properties, own), *_regions(properties, own)):
        _put(found, said, setting)
    for setting in _defaults(properties, own):
        if _get(found, setting[1]) is None:
            _put(found, said, setting)
    _refuse_halves(properties, found)
    return found


def _refuse_halves(properties: Mapping[str, str], found: Mapping[str, Any]) -> None:
    for name, text in properties.items():
        needed = PROPERTIES[name].needs
        if needed and _get(found, needed) is None:
            old = next(old for old, each in PROPERTIES.items() if each.key == needed)
            raise UserError(f"{name} is {text!r:.200}, without {old}; give it, or {needed}.")


def _refuse_unknown(properties: Mapping[str, str]) -> None:
    for name in properties:
        if name not in PROPERTIES:
            near = difflib.get_close_matches(name, PROPERTIES, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(PROPERTIES)}."
            raise UserError(f"{name} is unknown; {hint}")


def _settings(properties: Mapping[str, str], own: Mapping[str, Any]) -> Iterator[_Setting]:
    reads, writes = _needed(properties, own).values()
    idle = "InputStreamRegion" if writes and not reads else ""
    for name, text in properties.items():
        try:
            value = PROPERTIES[name].value(text)
        except ValueError as error:
            raise UserError(f"{name} is {text!r:.200}; {error}.") from error
        if name == "OutputBucket":
            yield name, "lake.path", f"{_folder(properties)}/lake"
        elif name == "OutputPrefix" and "OutputBucket" not in properties:
            raise UserError(f"OutputPrefix is {text!r:.200}, without OutputBucket; give it.")
        elif name not in ("OutputPrefix", "ParquetConversion", idle):
            yield name, PROPERTIES[name].key, value
        if name == "OutputKafkaTopic":
            yield name, "replicate.kafka.kafka_cluster", "output"


def _needed(properties: Mapping[str, str], own: Mapping[str, Any]) -> dict[str, bool]:
    """Return which regions matter: a stream given by its ARN has its own."""
    reads = [properties.get("InputKinesisStream", ""), *(_get(own, "source.kinesis_streams") or ())]
    writes = properties.get("OutputKinesisStream", "arn:")
    return {
        "InputStreamRegion": any(each and not each.startswith("arn:") for each in reads),
        "OutputStreamRegion": "OutputStreamRegion" in properties or not writes.startswith("arn:"),
    }


def _folder(properties: Mapping[str, str]) -> str:
    prefix = properties.get("OutputPrefix", "").strip("/")
    return f"{_base(properties['OutputBucket'])}/{prefix}".rstrip("/")


def _regions(properties: Mapping[str, str], own: Mapping[str, Any]) -> Iterator[_Setting]:
    """Take a missing region from AWS_REGION, never silently from the other stream."""
    here, needed = os.environ.get("AWS_REGION", ""), _needed(properties, own)
    for region, other in zip(needed, reversed(needed), strict=True):
        if not needed[region] or region in properties or _get(own, "kinesis.region"):
            continue
        if here:
            yield f"AWS_REGION, for want of {region},", "kinesis.region", here
        elif other in properties and needed[other]:
            seen = f"{other} is {properties[other]!r:.200}, without {region}"
            raise UserError(f"{seen}, and AWS_REGION is not set; give both.")


def _defaults(properties: Mapping[str, str], own: Mapping[str, Any]) -> Iterator[_Setting]:
    """Return what the original implied, where no group says otherwise."""
    if "OutputBucket" in properties:
        for section, folder in (("archive", "archive"), ("dead_letters", "dead-letters")):
            if section not in own:
                yield "OutputBucket", f"{section}.path", f"{_folder(properties)}/{folder}"
    if "OutputElasticsearchEndpoint" in properties:
        yield "OutputElasticsearchEndpoint", "index.auth", "sigv4"
        yield "AWS_REGION", "index.region", os.environ.get("AWS_REGION", "")


def _put(found: dict[str, Any], said: dict[str, str], setting: _Setting) -> None:
    name, path, value = setting
    section, _, key = path.rpartition(".")
    keys = found
    for part in section.split("."):
        keys = keys.setdefault(part, {})
    other = said.setdefault(path, path if key in keys else name)
    if (seen := keys.setdefault(key, value)) != value:
        advice = _OTHER_REGION if path == "kinesis.region" else ""
        old, new = (", ".join(v) if isinstance(v, list) else v for v in (seen, value))
        raise UserError(f"{other} says {old} and {name} says {new} for {path}; keep one{advice}.")


def _get(found: Mapping[str, Any], path: str) -> Any:
    keys: Any = found
    for part in path.split("."):
        keys = keys.get(part) if isinstance(keys, Mapping) else None
    return keys
