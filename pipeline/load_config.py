"""From a YAML file or property groups to a checked `Config`; every mistake is a `UserError`."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints
from urllib.parse import urlsplit

import msgspec
import yaml

from pipeline.config import SECRETS, Config, Section
from pipeline.errors import UserError
from pipeline.event_types import EventTypes
from pipeline.event_types import load as load_types

PROPERTY_GROUPS = Path("/etc/flink/application_properties.json")
_SHIPPED = Path(__file__).parent.parent
_REFERENCE = re.compile(r"\$\{(env|file):([^}:]+)(?::-([^}]*))?\}")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def load(path: Path) -> Config:
    """Read a YAML file, resolve its references, check it whole.

    Raises:
        UserError: the file, the key, the value seen, what is allowed.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}). Give --config FILE."
        ) from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not YAML: {error}") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: must hold sections such as `source:`; found {found!r:.60}.")
    return check(found, where=str(path))


def load_property_groups(path: Path = PROPERTY_GROUPS) -> Config:
    """Read what Managed Service for Apache Flink puts beside the application.

    A group is a section and its values are text: `kafka_topics` is split at commas. Groups of the
    platform's own (`kinesis.analytics.…`) are not ours and are passed over.
    """
    groups = json.loads(path.read_text(encoding="utf-8"))
    found = {
        group["PropertyGroupId"]: _typed(group["PropertyGroupId"], group["PropertyMap"])
        for group in groups
        if not group["PropertyGroupId"].startswith("kinesis.analytics.")
    }
    return check(found, where=str(path))


def check(found: Mapping[str, Any], *, where: str) -> Config:
    """Turn plain data into a `Config`; refuse unknown keys, wrong types and contradictions."""
    _refuse_unknown(found, where)
    resolved = _resolve(dict(found), where)
    try:
        config = msgspec.convert(resolved, Config)
    except msgspec.ValidationError as error:
        key = _path_of(error)
        raise UserError(
            f"{where}: {error}{_seen(resolved, key)} See conf/reference.yaml."
        ) from error
    _refuse_contradictions(config, where)
    return config


def event_types(config: Config) -> EventTypes:
    """The event types of `decode.schemas`; a relative folder may also be the one we ship."""
    folder = Path(config.decode.schemas)
    return load_types(folder if folder.is_dir() else _SHIPPED / folder)


def sections() -> dict[str, type[Section]]:
    """The model's sections by name, in the model's order."""
    hints = get_type_hints(Config)
    return {name: _section_of(hint) for name, hint in hints.items()}


def masked(config: Config) -> dict[str, Any]:
    """The configuration as plain data with every secret replaced by stars."""
    plain: dict[str, Any] = msgspec.to_builtins(config)
    for section in plain.values():
        for key in SECRETS & set(section or {}):
            section[key] = "********" if section[key] else ""
    return plain


def _section_of(hint: Any) -> type[Section]:
    kinds = [kind for kind in (hint, *get_args(hint)) if isinstance(kind, type)]
    return next(kind for kind in kinds if issubclass(kind, Section))


def _refuse_unknown(found: Mapping[str, Any], where: str) -> None:
    known = sections()
    for name, section in found.items():
        _refuse_key(name, known, f"{where}: section")
        if isinstance(section, Mapping):
            for key in section:
                _refuse_key(key, known[name].__struct_fields__, f"{where}: key {name}.")


def _refuse_key(key: str, known: Any, what: str) -> None:
    if key in known:
        return
    near = difflib.get_close_matches(str(key), list(known), n=1, cutoff=0.5)
    hint = f"did you mean `{near[0]}`?" if near else f"allowed: {', '.join(known)}."
    separator = "" if what.endswith(".") else " "
    raise UserError(f"{what}{separator}{key} is unknown; {hint} See conf/reference.yaml.")


def _resolve(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {key: _resolve(item, f"{where}: {key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, where) for item in value]
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _referenced(match, where), value)
    return value


def _referenced(match: re.Match[str], where: str) -> str:
    kind, name, default = match.groups()
    if kind == "env":
        value = os.environ.get(name, default)
        if value is None:
            raise UserError(f"{where}: the environment variable {name} is not set; set it.")
        return value
    try:
        return Path(name).read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise UserError(f"{where}: the file {name} cannot be read ({error.strerror}).") from error


def _path_of(error: msgspec.ValidationError) -> list[str]:
    match = re.search(r"`\$\.([^`]+)`", str(error))
    return match.group(1).split(".") if match else []


def _seen(resolved: Any, path: list[str]) -> str:
    for key in path:
        resolved = resolved.get(key) if isinstance(resolved, dict) else None
    if not path or path[-1] in SECRETS or isinstance(resolved, dict):
        return "."
    return f"; the value is {resolved!r:.80}."


def _typed(group: str, values: Mapping[str, str]) -> dict[str, Any]:
    section = sections().get(group)
    if section is None:
        return dict(values)
    hints = get_type_hints(section)
    return {key: _from_text(text, hints.get(key, str)) for key, text in values.items()}


def _from_text(text: str, hint: Any) -> Any:
    if getattr(hint, "__origin__", None) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return msgspec.convert(text, hint, strict=False)
    except msgspec.ValidationError:
        return text


def _refuse_contradictions(config: Config, where: str) -> None:
    for problem in _contradictions(config):
        raise UserError(f"{where}: {problem}")


def _contradictions(config: Config) -> list[str]:
    return [*_sinks(config), *_dead_letters(config), *_index(config), *_source(config)]


def _source(config: Config) -> list[str]:
    topics = config.source.kafka_topics
    if not topics:
        return ["source.kafka_topics is empty; name at least one topic."]
    dead = config.dead_letters.kafka_topic if config.dead_letters else ""
    if dead in topics:
        return [
            f"dead_letters.kafka_topic is {dead}, which source.kafka_topics reads too; a reject"
            " would go round for ever. Give the dead letters a topic of their own."
        ]
    return []  # fmt: skip


def _sinks(config: Config) -> list[str]:
    if config.archive or config.lake or config.index:
        return []
    return ["there is no sink; give at least one of the sections archive, lake, index."]


def _dead_letters(config: Config) -> list[str]:
    dead = config.dead_letters
    if dead is None:
        if config.archive:
            return []
        return ["without dead_letters and without archive a bad event would be lost; give one."]
    if dead.kafka_topic and dead.path:
        return [f"dead_letters has kafka_topic {dead.kafka_topic} and path {dead.path}; give one."]
    if not dead.kafka_topic and not dead.path:
        return ["dead_letters needs kafka_topic or path."]
    if dead.path and not re.match(r"^(s3a|file)://[^\s'*?]+$", dead.path):
        return [f"dead_letters.path is {dead.path}; allowed: s3a://bucket/prefix or file:///path."]
    return []


def _index(config: Config) -> list[str]:
    index = config.index
    if index is None:
        return []
    url = urlsplit(index.url)
    if url.scheme == "http" and url.hostname not in _LOOPBACK:
        return [f"index.url is {index.url}; http is for 127.0.0.1 only, use https."]
    if index.auth == "basic" and not (index.username and index.password):
        return ["index.auth is basic, but username or password is empty; set both."]
    if index.auth != "basic" and (index.username or index.password):
        return [
            f"index.auth is {index.auth}, but username or password is set; remove them or use"
            " auth: basic."
        ]
    if index.auth == "sigv4" and not index.region:
        return ["index.auth is sigv4, but region is empty; set index.region."]
    return _index_times(config)  # fmt: skip


def _index_times(config: Config) -> list[str]:
    index, job = config.index, config.job
    if index and index.retry_seconds >= job.checkpoint_timeout_seconds:
        return [
            f"index.retry_seconds is {index.retry_seconds:g} and job.checkpoint_timeout_seconds"
            f" is {job.checkpoint_timeout_seconds:g}; the first must be the smaller one, or no"
            " checkpoint completes while OpenSearch is away."
        ]
    return []  # fmt: skip
