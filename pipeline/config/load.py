"""Load a YAML file or property groups into a checked `Config`; every mistake is a `UserError`."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec
from msgspec.structs import replace

from connectors.errors import Mistakes, UserError, UserErrors
from connectors.options import SECRETS
from connectors.text_files import cut, parse_json, read_text, shown
from pipeline.config import legacy as original_properties
from pipeline.config.checks import contradictions
from pipeline.config.convert import ENTRIES, converted, sections
from pipeline.config.event_type_keys import type_problems
from pipeline.config.model import PLATFORM_KEYS, Config
from pipeline.config.references import References
from pipeline.config.yaml_file import read_yaml
from pipeline.events.event_types import EventTypes
from pipeline.events.event_types import load as load_types

PROPERTY_GROUPS = Path("/etc/flink/application_properties.json")
_SHIPPED = Path(__file__).parents[2]
_LONGEST_MESSAGE = 1500
_USER = re.compile(r"(?s)//.*@")


class _PropertyGroup(msgspec.Struct):
    """A property group as the platform writes it."""

    PropertyGroupId: str
    PropertyMap: dict[str, str]


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read a YAML file, resolve its references and check it.

    `${env:NAME}` is looked up in `environment`. Relative local paths begin at the file's folder.

    Raises:
        UserError: with the file, the key, the value and the allowed values.
    """
    written = read_yaml(path)
    config = check(written, where=str(path), environment=environment)
    return _remembered(written, _beside(path.absolute().parent, config))


def load_property_groups(path: Path = PROPERTY_GROUPS) -> Config:
    """Read the property groups that Managed Service for Apache Flink gives to an application.

    A group is a section and its values are strings: `kafka_topics` is split at commas. A group
    `replicate.mirror` is the entry `mirror` of the section `replicate`. Groups of the platform
    (`kinesis.analytics.…`) are ignored. The group of the original application is translated, see
    `pipeline.config.legacy`.

    Raises:
        UserError: as `load`, and for a key in `PLATFORM_KEYS`.
    """
    groups = _groups(path)
    original = groups.pop(original_properties.GROUP, None)
    content: dict[str, Any] = {}
    for name, values in groups.items():
        section, _, entry = name.partition(".")
        if name in ENTRIES:
            raise UserError(
                f"{path}: property group {name} has no name of its own; name it {name}.NAME."
            )
        if entry and section in ENTRIES:
            content.setdefault(section, {})[entry] = _typed(section, values)
        elif not name.startswith("kinesis.analytics."):
            content[name] = _typed(name, values)
    if original:
        content = original_properties.translate(original, content, str(path))
    _leave_to_the_platform(content, str(path))
    return _remembered(content, check(content, where=str(path)))


_REFERRED: Final[dict[str, str]] = {}
"""Folders of schemas that a reference stands for, and how they were written, for messages."""


def _remembered(written: Mapping[str, Any], config: Config) -> Config:
    text = (written.get("decode") or {}).get("schemas")
    if isinstance(text, str) and "${" in text:
        _REFERRED[config.decode.schemas] = cut(text)
    return config


def check(
    content: Mapping[str, Any], *, where: str, environment: Mapping[str, str] = os.environ
) -> Config:
    """Convert plain data to a `Config`; refuse unknown keys, wrong types and contradictions.

    Report all unknown keys and wrong types at once; if there are none, all contradictions.
    No message has a secret, a value that a reference stands for, or more than 2 kB.
    """
    references = References(environment)
    try:
        return _checked(content, references)
    except UserErrors as error:
        messages = list(map(references.hidden, error.messages))
        message = str(UserErrors(messages, _LONGEST_MESSAGE))
    except UserError as error:
        message = references.hidden(str(error))
    if len(message) > _LONGEST_MESSAGE + 100:
        message = message[:_LONGEST_MESSAGE] + "..."
    raise UserError(f"{cut(where, 300)}: {message}") from None


def _checked(content: Mapping[str, Any], references: References) -> Config:
    mistakes = Mistakes()
    config = converted(content, references, mistakes)
    mistakes.report()
    assert config, "there is one where there is no mistake"
    mistakes.messages += contradictions(config)
    mistakes.report()
    return config


def event_types(config: Config) -> EventTypes:
    """Load the event types of `decode.schemas`; a relative folder may also be the shipped one.

    Raises:
        UserError: a schema is invalid, or does not fit the configuration.
    """
    types = _event_types(config)
    mistakes = Mistakes()
    mistakes.messages += type_problems(config, types)
    mistakes.report()
    return types


def _event_types(config: Config) -> EventTypes:
    folder = Path(config.decode.schemas)
    try:
        return load_types(folder if folder.is_dir() else _SHIPPED / folder)
    except OSError as error:
        named = _REFERRED.get(config.decode.schemas) or shown(config.decode.schemas)
        where = f"{named}: {error.strerror}"
        raise UserError(f"decode.schemas: {where}; give the folder of the .avsc files.") from error
    except UserError as error:
        written = _REFERRED.get(config.decode.schemas)
        message = str(error).replace(str(folder), written) if written else str(error)
        raise UserError(f"decode.schemas: {message}") from None


def masked(config: Config) -> dict[str, Any]:
    """Return the configuration as plain data, with secrets and users in URLs as asterisks."""
    plain: dict[str, Any] = msgspec.to_builtins(config)
    for name, section in plain.items():
        for keys in (section or {}).values() if name in ENTRIES else [section or {}]:
            for key, value in keys.items():
                if key in SECRETS and value:
                    keys[key] = "********"
                elif isinstance(value, str):
                    keys[key] = _USER.sub("//********@", value)
    return plain


def _beside(folder: Path, config: Config) -> Config:
    """Return the configuration with absolute local paths; shipped schemas stay as named."""

    def absolute(section: Any) -> Any:
        ca_file = section and section.ca_file
        return replace(section, ca_file=str(folder / ca_file)) if ca_file else section

    decode, schemas = config.decode, folder / config.decode.schemas
    if schemas.is_dir() or not (_SHIPPED / decode.schemas).is_dir():
        decode = replace(decode, schemas=str(schemas))
    return replace(
        config,
        kafka=absolute(config.kafka),
        clusters={name: absolute(cluster) for name, cluster in config.clusters.items()},
        index=absolute(config.index),
        decode=decode,
    )


def _groups(path: Path) -> dict[str, dict[str, str]]:
    advice = (
        " Managed Service for Apache Flink writes it if the application has property groups;"
        " elsewhere pass a file with --config."
    )
    content = parse_json(read_text(path, advice), str(path))
    try:
        groups = msgspec.convert(content, list[_PropertyGroup])
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: is not a list of property groups: {error}.") from None
    for name, times in Counter(group.PropertyGroupId for group in groups).items():
        if times > 1:
            raise UserError(f"{path}: property group {name} occurs {times} times; merge them.")
    return {group.PropertyGroupId: group.PropertyMap for group in groups}


def _leave_to_the_platform(content: dict[str, Any], where: str) -> None:
    """Refuse settings that the platform controls, and drop our default for one of them."""
    job = content.get("job", {})
    for key in PLATFORM_KEYS:
        if key in job:
            raise UserError(
                f"{where}: job.{key} is {shown(job[key])}, but the managed service sets"
                " parallelism, checkpoints and restarts; remove the key and configure it on the"
                " application."
            )
    content["job"] = {**job, "checkpoint_timeout_seconds": None}


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
