"""Load a YAML file or property groups into a checked `Config`; every mistake is a `UserError`."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import replace

from connectors.errors import UserError
from connectors.options import ALLOWED, SECRETS, Section
from connectors.text_files import cut, parse_json, read_text, shown
from pipeline.config import legacy as original_properties
from pipeline.config.checks import contradictions
from pipeline.config.model import PLATFORM_KEYS, Config
from pipeline.config.references import References
from pipeline.config.yaml_file import read_yaml
from pipeline.events.event_types import EventTypes
from pipeline.events.event_types import load as load_types

# Sections with any number of entries, each under a name that the user chooses.
ENTRIES = frozenset({"clusters", "replicate"})
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
    config = check(read_yaml(path), where=str(path), environment=environment)
    return _beside(path.absolute().parent, config)


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
    return check(content, where=str(path))


def check(
    content: Mapping[str, Any], *, where: str, environment: Mapping[str, str] = os.environ
) -> Config:
    """Convert plain data to a `Config`; refuse unknown keys, wrong types and contradictions.

    No message has a secret, a value that a reference stands for, or more than 2 kB.
    """
    references = References(environment)
    try:
        return _checked(content, references)
    except UserError as error:
        message = references.hidden(str(error))
        if len(message) > _LONGEST_MESSAGE:
            message = message[:_LONGEST_MESSAGE] + "..."
        raise UserError(f"{cut(where, 300)}: {message}") from None


def _checked(content: Mapping[str, Any], references: References) -> Config:
    _refuse_unknown(content)
    resolved = references.resolve(dict(content))
    try:
        config = msgspec.convert(resolved, Config)
    except msgspec.ValidationError as error:
        text = _with_words(_with_choices(_with_entry(str(error), resolved)))
        raise UserError(f"{text}{_value_at(content, text)} See conf/reference.yaml.") from None
    for problem in contradictions(config):
        raise UserError(problem)
    return config


def event_types(config: Config) -> EventTypes:
    """Load the event types of `decode.schemas`; a relative folder may also be the shipped one."""
    folder = Path(config.decode.schemas)
    try:
        return load_types(folder if folder.is_dir() else _SHIPPED / folder)
    except OSError as error:
        where = f"{shown(config.decode.schemas)}: {error.strerror}"
        raise UserError(f"decode.schemas: {where}; give the folder of the .avsc files.") from error
    except UserError as error:
        raise UserError(f"decode.schemas: {error}") from error


def sections() -> dict[str, type[Section]]:
    """Return the model's sections by name, in order; for `ENTRIES`, the section of one entry."""
    hints = get_type_hints(Config)
    return {name: _section_of(hint) for name, hint in hints.items()}


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


def _section_of(hint: Any) -> type[Section]:
    kinds = [kind for kind in (hint, *get_args(hint)) if isinstance(kind, type)]
    return next(kind for kind in kinds if issubclass(kind, Section))


def _refuse_unknown(content: Mapping[str, Any]) -> None:
    known = sections()
    for name, section in content.items():
        _refuse_key(name, known, "section ")
        entries = {name: section}
        if name in ENTRIES and isinstance(section, Mapping):
            entries = {f"{name}.{cut(str(entry))}": keys for entry, keys in section.items()}
        for path, keys in entries.items():
            for key in keys if isinstance(keys, Mapping) else ():
                _refuse_key(key, known[name].__struct_fields__, f"key {path}.")


def _refuse_key(key: object, known: Any, what: str) -> None:
    if key in known:
        return
    name = cut(str(key))
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"did you mean `{near[0]}`?" if near else f"allowed: {', '.join(known)}."
    raise UserError(f"{what}{name} is unknown; {hint} See conf/reference.yaml.")


def _with_entry(text: str, resolved: Mapping[str, Any]) -> str:
    """Return msgspec's message with the name of the entry in place of `[...]`."""
    for section in ENTRIES:
        if f"`$.{section}[...]" in text:
            kind = sections()[section]
            entry = next(name for name, keys in resolved[section].items() if _is_bad(keys, kind))
            return text.replace("[...]", f".{entry}", 1)
    return text


def _is_bad(keys: Any, kind: type[Section]) -> bool:
    try:
        msgspec.convert(keys, kind)
    except msgspec.ValidationError:
        return True
    return False


def _with_choices(text: str) -> str:
    """Return msgspec's message with the allowed values in place of the wrong one."""
    if not text.startswith("Invalid enum value"):
        return text
    place = text[text.rindex(" - at ") :]
    section, *_, key = re.findall(r"[a-z][a-z0-9_]*", re.sub(r"\[\d+\]", "", place[6:]))
    choices = _literals(get_type_hints(sections()[section])[key])
    return f"Expected one of {', '.join(choices)}{place}"


def _with_words(text: str) -> str:
    """Return msgspec's message with what a pattern allows in place of the pattern."""
    for pattern, allowed in ALLOWED.items():
        text = text.replace(f"`str` matching regex {pattern!r}", allowed)
    return text


def _literals(hint: Any) -> list[str]:
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [value for part in get_args(hint) for value in _literals(part)]


def _value_at(content: Any, text: str) -> str:
    """Return the value that msgspec's message is about, unless it is a secret or a section.

    `content` is the configuration as it was written: a reference is shown, not what it stands for.
    """
    match = re.search(r"`\$\.([^`]+)`", text)
    path = re.findall(r"[^.\[\]]+", match[1]) if match else []
    value: Any = content
    for key in path:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list | tuple) and key.isdecimal():
            value = value[int(key)]
        else:
            value = None
    if "at `key`" in text and isinstance(value, Mapping):
        return f"; the names are {cut(', '.join(map(str, value)), 300)}."
    if len(path) < 2 or SECRETS & set(path) or isinstance(value, Mapping):
        return "."
    return f"; the value is {shown(value)}.{_hint(text, value)}"


def _hint(text: str, value: object) -> str:
    """Return what to write instead, for the mistakes that other tools' formats suggest."""
    if "`str`, got" in text and not isinstance(value, list):
        return " Put it in quotes."
    if "`array`, got" in text:
        return " Write a list, such as [a, b]."
    if isinstance(value, str):
        if re.fullmatch(r"s3n?://.*", value):
            return " Write s3a:// in place of s3://."
        if "got `str`" in text and re.fullmatch(r"[0-9.]+ ?(ms|s|sec|m|min|h|d)", value):
            return " Write the seconds as a number, without a unit."
    return ""


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
