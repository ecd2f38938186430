"""Load a YAML file or property groups into a checked `Config`; every mistake is a `UserError`."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import yaml

from connectors.errors import UserError
from connectors.options import SECRETS, Section
from pipeline.config import legacy as original_properties
from pipeline.config.checks import contradictions
from pipeline.config.model import PLATFORM_KEYS, Config
from pipeline.events.event_types import EventTypes
from pipeline.events.event_types import load as load_types

# Sections with any number of entries, each under a name that the user chooses.
ENTRIES = frozenset({"clusters", "replicate"})
PROPERTY_GROUPS = Path("/etc/flink/application_properties.json")
_SHIPPED = Path(__file__).parents[2]
_REFERENCE = re.compile(r"\$\{(env|file):([^}:]+)(?::-([^}]*))?\}")


class _PropertyGroup(msgspec.Struct):
    """A property group as the platform writes it."""

    PropertyGroupId: str
    PropertyMap: dict[str, str]


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read a YAML file, resolve its references and check it.

    `${env:NAME}` is looked up in `environment`.

    Raises:
        UserError: with the file, the key, the value and the allowed values.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}). Pass an existing file with --config."
        ) from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must contain sections such as `source:`, not {content!r:.60}.")
    return check(content, where=str(path), environment=environment)


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
    """Convert plain data to a `Config`; refuse unknown keys, wrong types and contradictions."""
    _refuse_unknown(content, where)
    resolved = _resolve(dict(content), where, environment)
    try:
        config = msgspec.convert(resolved, Config)
    except msgspec.ValidationError as error:
        text = _with_entry(str(error), resolved)
        value = _value_at(resolved, text)
        raise UserError(f"{where}: {text}{value} See conf/reference.yaml.") from error
    for problem in contradictions(config):
        raise UserError(f"{where}: {problem}")
    return config


def event_types(config: Config) -> EventTypes:
    """Load the event types of `decode.schemas`; a relative folder may also be the shipped one."""
    folder = Path(config.decode.schemas)
    return load_types(folder if folder.is_dir() else _SHIPPED / folder)


def sections() -> dict[str, type[Section]]:
    """Return the model's sections by name, in order; for `ENTRIES`, the section of one entry."""
    hints = get_type_hints(Config)
    return {name: _section_of(hint) for name, hint in hints.items()}


def masked(config: Config) -> dict[str, Any]:
    """Return the configuration as plain data, with secrets replaced by asterisks."""
    plain: dict[str, Any] = msgspec.to_builtins(config)
    for name, section in plain.items():
        for keys in (section or {}).values() if name in ENTRIES else [section or {}]:
            for key in SECRETS & set(keys):
                keys[key] = "********" if keys[key] else ""
    return plain


def _groups(path: Path) -> dict[str, dict[str, str]]:
    try:
        groups = msgspec.json.decode(path.read_bytes(), type=list[_PropertyGroup])
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}). Managed Service for Apache Flink writes it"
            " if the application has property groups; elsewhere pass a file with --config."
        ) from error
    except msgspec.MsgspecError as error:
        raise UserError(f"{path}: is not a list of property groups: {error}.") from error
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
                f"{where}: job.{key} is {job[key]!r}, but the managed service sets parallelism,"
                " checkpoints and restarts; remove the key and configure it on the application."
            )
    content["job"] = {**job, "checkpoint_timeout_seconds": None}


def _section_of(hint: Any) -> type[Section]:
    kinds = [kind for kind in (hint, *get_args(hint)) if isinstance(kind, type)]
    return next(kind for kind in kinds if issubclass(kind, Section))


def _refuse_unknown(content: Mapping[str, Any], where: str) -> None:
    known = sections()
    for name, section in content.items():
        _refuse_key(name, known, f"{where}: section ")
        entries = {name: section}
        if name in ENTRIES and isinstance(section, Mapping):
            entries = {f"{name}.{entry}": keys for entry, keys in section.items()}
        for path, keys in entries.items():
            for key in keys if isinstance(keys, Mapping) else ():
                _refuse_key(key, known[name].__struct_fields__, f"{where}: key {path}.")


def _refuse_key(key: str, known: Any, what: str) -> None:
    if key in known:
        return
    near = difflib.get_close_matches(str(key), list(known), n=1, cutoff=0.5)
    hint = f"did you mean `{near[0]}`?" if near else f"allowed: {', '.join(known)}."
    raise UserError(f"{what}{key} is unknown; {hint} See conf/reference.yaml.")


def _resolve(value: Any, where: str, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _resolve(item, f"{where}: {key}", environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, where, environment) for item in value]
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _referenced(match, where, environment), value)
    return value


def _referenced(match: re.Match[str], where: str, environment: Mapping[str, str]) -> str:
    kind, name, default = match.groups()
    if kind == "env":
        value = environment.get(name, default)
        if value is None:
            raise UserError(
                f"{where}: the environment variable {name} is not set; set it, or after `make up`"
                " source build/run/env.sh, which has the local servers'."
            )
        return value
    try:
        return Path(name).read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise UserError(f"{where}: the file {name} cannot be read ({error.strerror}).") from error


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


def _value_at(resolved: Any, text: str) -> str:
    """Return the value that msgspec's message is about, unless it is a secret or a section."""
    match = re.search(r"`\$\.([^`\[]+)[^`]*`", text)
    path = match[1].split(".") if match else []
    for key in path:
        resolved = resolved.get(key) if isinstance(resolved, dict) else None
    if "at `key`" in text and isinstance(resolved, dict):
        return f"; the names are {', '.join(map(str, resolved))}."
    if not path or path[-1] in SECRETS or isinstance(resolved, dict):
        return "."
    shown = re.sub(r"//[^/@\s]*@", "//********@", repr(resolved))
    return f"; the value is {shown:.80}."


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
