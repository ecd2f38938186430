"""Translate the original application's properties: a table from old names to keys.

Valid properties keep their meaning. Mistakes that the original ignored silently are refused: a
misspelt name, half of a pair, two different values for one key.
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
from connectors.text_files import cut, masked, shown

GROUP = "FlinkApplicationProperties"
_PAGE = "docs/migration.md"
_Setting = tuple[str, str, Any]  # (origin, our key, value)
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
    """A property: its key here, its parser, the property it needs, other keys that it sets."""

    key: str
    value: Callable[[str], Any] = str
    needs: str = ""
    also: tuple[str, ...] = ()

    @property
    def ours(self) -> tuple[str, ...]:
        """The keys that it sets."""
        return (self.key, *self.also)


_FOLDERS = ("archive.path", "dead_letters.path")
_ENDPOINT = "OutputElasticsearchEndpoint"
# fmt: off
# docs/migration.md lists how each differs from the original.
PROPERTIES: Mapping[str, Property] = {
    "InputKinesisStream": Property("source.kinesis_streams", _list),
    "InputStreamRegion": Property("kinesis.region"),
    # The original's misspelling.
    "InputStreamInitalPosition": Property("source.kinesis_start", _one_of(_STARTS)),
    "InputStreamInitialPosition": Property("source.kinesis_start", _one_of(_STARTS)),
    "TimestampPosition": Property("source.kinesis_start_timestamp"),
    "InputKafkaBootstrapServers": Property("kafka.bootstrap_servers", needs="InputKafkaTopic"),
    "InputKafkaTopic": Property("source.kafka_topics", _list, "InputKafkaBootstrapServers"),
    "OutputBucket": Property("lake.path", _base, also=_FOLDERS),
    "OutputPrefix": Property("lake.path", also=_FOLDERS),
    "ParquetConversion": Property("lake", _parquet),
    "OutputElasticsearchEndpoint": Property("index.url", also=("index.auth",)),
    "ElasticsearchRegion": Property("index.region", needs=_ENDPOINT),
    "ElasticsearchBulkFlushMaxSizeMb": Property("index.max_bytes", _up_to(9, 1 << 20), _ENDPOINT),
    "ElasticsearchBulkFlushMaxActions":
        Property("index.max_documents", _up_to(10_000), _ENDPOINT),
    "ElasticsearchBulkFlushInterval": Property("job.bundle_milliseconds", _up_to(999_999_999)),
    "OutputKinesisStream": Property("replicate.kinesis.kinesis_stream"),
    "OutputStreamRegion": Property("kinesis.region"),
    "OutputKafkaBootstrapServers":
        Property("clusters.output.bootstrap_servers", needs="OutputKafkaTopic"),
    "OutputKafkaTopic": Property("replicate.kafka.kafka_topic",
        needs="OutputKafkaBootstrapServers", also=("replicate.kafka.kafka_cluster",)),
    "OutputDiscarding": Property("job.discard", _one_of({"true": True, "false": False})),
}
# fmt: on


def translate(properties: Mapping[str, str], own: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the sections `own`, completed by the original's properties.

    Raises:
        UserError: an unknown name, half of a pair, an invalid value, or two that disagree.
    """
    try:
        sections = _translated(properties, own)
    except UserError as error:
        raise UserError(f"{where}: group {GROUP}: {error} See {_PAGE}.") from error
    for name in properties:
        _LOG.warning("%s is deprecated; use %s", name, ", ".join(PROPERTIES[name].ours))
    return sections


def _translated(properties: Mapping[str, str], own: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_unknown(properties)
    sections, origins = copy.deepcopy(dict(own)), dict[str, str]()
    for setting in (*_settings(properties, own), *_regions(properties, own)):
        _put(sections, origins, setting)
    for setting in _defaults(properties, own):
        if _get(sections, setting[1]) is None:
            _put(sections, origins, setting)
    for name, text in properties.items():
        needed = PROPERTIES[name].needs
        if needed and _get(sections, key := PROPERTIES[needed].key) is None:
            raise UserError(f"{name} is {shown(text)}, without {needed}; give it, or {key}.")
    return sections


def _refuse_unknown(properties: Mapping[str, str]) -> None:
    for name in properties:
        if name not in PROPERTIES:
            name = cut(name)
            near = difflib.get_close_matches(name, PROPERTIES, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(PROPERTIES)}."
            raise UserError(f"{name} is unknown; {hint}")


def _settings(properties: Mapping[str, str], own: Mapping[str, Any]) -> Iterator[_Setting]:
    reads, writes = _regions_needed(properties, own).values()
    unused = "InputStreamRegion" if writes and not reads else ""
    for name, text in properties.items():
        try:
            value = PROPERTIES[name].value(text)
        except ValueError as error:
            raise UserError(f"{name} is {shown(text)}; {error}.") from error
        if name == "OutputBucket":
            yield name, "lake.path", f"{_folder(properties)}/lake"
        elif name == "OutputPrefix" and "OutputBucket" not in properties:
            raise UserError(f"OutputPrefix is {shown(text)}, without OutputBucket; give it.")
        elif name not in ("OutputPrefix", "ParquetConversion", unused):
            yield name, PROPERTIES[name].key, value
        if name == "OutputKafkaTopic":
            yield name, "replicate.kafka.kafka_cluster", "output"


def _regions_needed(properties: Mapping[str, str], own: Mapping[str, Any]) -> dict[str, bool]:
    """Return which regions matter: a stream given by its ARN has its own."""
    reads = [properties.get("InputKinesisStream", ""), *(_get(own, "source.kinesis_streams") or ())]
    writes = properties.get("OutputKinesisStream", "arn:")
    return {
        "InputStreamRegion": any(stream and not stream.startswith("arn:") for stream in reads),
        "OutputStreamRegion": "OutputStreamRegion" in properties or not writes.startswith("arn:"),
    }


def _folder(properties: Mapping[str, str]) -> str:
    prefix = properties.get("OutputPrefix", "").strip("/")
    return f"{_base(properties['OutputBucket'])}/{prefix}".rstrip("/")


def _regions(properties: Mapping[str, str], own: Mapping[str, Any]) -> Iterator[_Setting]:
    """Take a missing region from AWS_REGION, never silently from the other stream."""
    here, needed = os.environ.get("AWS_REGION", ""), _regions_needed(properties, own)
    for region, other in zip(needed, reversed(needed), strict=True):
        if not needed[region] or region in properties or _get(own, "kinesis.region"):
            continue
        if here:
            yield f"AWS_REGION, for want of {region},", "kinesis.region", here
        elif other in properties and needed[other]:
            raise UserError(
                f"{other} is {shown(properties[other])}, without {region}, and AWS_REGION is not"
                " set; give both."
            )


def _defaults(properties: Mapping[str, str], own: Mapping[str, Any]) -> Iterator[_Setting]:
    """Return what the original implied, where no group says otherwise."""
    if "OutputBucket" in properties:
        for section, folder in (("archive", "archive"), ("dead_letters", "dead-letters")):
            if section not in own:
                yield "OutputBucket", f"{section}.path", f"{_folder(properties)}/{folder}"
    if _ENDPOINT in properties:
        yield _ENDPOINT, "index.auth", "sigv4"
        yield "AWS_REGION", "index.region", os.environ.get("AWS_REGION", "")


def _put(sections: dict[str, Any], origins: dict[str, str], setting: _Setting) -> None:
    name, path, value = setting
    section, _, key = path.rpartition(".")
    keys = sections
    for part in section.split("."):
        keys = keys.setdefault(part, {})
    other = origins.setdefault(path, path if key in keys else name)
    if (present := keys.setdefault(key, value)) != value:
        advice = _OTHER_REGION if path == "kinesis.region" else ""
        old, new = (
            masked(", ".join(v) if isinstance(v, list) else str(v)) for v in (present, value)
        )
        raise UserError(f"{other} says {old} and {name} says {new} for {path}; keep one{advice}.")


def _get(sections: Mapping[str, Any], path: str) -> Any:
    keys: Any = sections
    for part in path.split("."):
        keys = keys.get(part) if isinstance(keys, Mapping) else None
    return keys
