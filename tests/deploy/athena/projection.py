"""The folders that a query looks into, by Athena's documented rules of partition projection.

- https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
- https://docs.aws.amazon.com/athena/latest/ug/partition-projection-setting-up.html
- https://docs.aws.amazon.com/athena/latest/ug/partition-projection.html

Values outside of a column's range are not projected, and folders that do not exist have no rows.
Of these rules it reads what the tables of this project use; all else is an error.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final

from pipeline.events.folders import HIVE_NULL

BUCKET: Final = "data"
_RELATIVE: Final = re.compile(r"\s*NOW\s*(?:([+-])\s*([0-9]+)\s*(DAY|HOUR)S?\s*)?")
_PLACEHOLDER: Final = re.compile(r"\$\{([^}]+)\}")
_JAVA: Final = (("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"))


class ProjectionError(Exception):
    """Athena would fail the query."""


@dataclass(frozen=True)
class Condition:
    """What a query says of one partition column; `only` is the value of an equality."""

    column: str
    allows: Callable[[str], bool]
    only: str | None = None


def equal(column: str, value: str) -> Condition:
    return Condition(column, lambda other: other == value, value)


@dataclass(frozen=True)
class Partition:
    """The values of the partition columns, and the prefix of the S3 keys that are listed."""

    values: tuple[str, ...]
    prefix: str


class ProjectedTable:
    """A Glue table with partition projection, as CloudFormation makes it of a resource."""

    def __init__(self, resource: Mapping[str, Any], now: datetime) -> None:
        table = resource["Properties"]["TableInput"]
        self.name: str = table["Name"]
        self.columns = {
            column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]
        }
        self.keys = [key["Name"] for key in table["PartitionKeys"]]
        self.location = _substituted(table["StorageDescriptor"]["Location"])
        parameters = table["Parameters"]
        assert parameters["projection.enabled"] == "true"
        self._template = _substituted(parameters["storage.location.template"])
        assert set(_PLACEHOLDER.findall(self._template)) == set(self.keys)
        self._options = {key: _options(parameters, key) for key in self.keys}
        self._now = now

    def partitions(self, conditions: Iterable[Condition] = ()) -> Iterator[Partition]:
        """The partitions that a query with these conditions looks into.

        Raises:
            ProjectionError: an injected column has not one value.
        """
        conditions = list(conditions)
        assert {condition.column for condition in conditions} <= set(self.keys)
        columns = [self._values(key, conditions) for key in self.keys]
        for values in product(*columns):
            location = self._template
            for key, value in zip(self.keys, values, strict=True):
                location = location.replace(f"${{{key}}}", value)
            yield Partition(values, location.removeprefix(f"s3://{BUCKET}/"))

    def _values(self, key: str, conditions: Iterable[Condition]) -> list[str]:
        own = [condition for condition in conditions if condition.column == key]
        options = self._options[key]
        if options["type"] == "injected":
            given = {condition.only for condition in own} - {None}
            if len(given) != 1:
                raise ProjectionError(f"the injected column {key} has not one value: {given}")
            # Hive's name of null is null, which equals nothing (Trino 435; not documented).
            values: Iterable[str] = [value for value in given if value and value != HIVE_NULL]
        else:
            values = _PROJECTIONS[options["type"]](options, self._now)
        return [value for value in values if all(each.allows(value) for each in own)]


def _options(parameters: Mapping[str, Any], key: str) -> dict[str, str]:
    start = f"projection.{key}."
    return {
        name.removeprefix(start): value
        for name, value in parameters.items()
        if name.startswith(start)
    }


def _substituted(value: Mapping[str, str]) -> str:
    """What `Fn::Sub` makes of a text: `${!name}` becomes `${name}`."""
    text = value["Fn::Sub"].replace("${DataBucket}", BUCKET)
    return text.replace("${!", "${")


def _enum(options: Mapping[str, str], _: datetime) -> Iterator[str]:
    assert set(options) == {"type", "values"}
    yield from options["values"].split(",")  # white space belongs to the values


def _integer(options: Mapping[str, str], _: datetime) -> Iterator[str]:
    assert {"type", "range"} <= set(options) <= {"type", "range", "digits", "interval"}
    first, last = map(int, options["range"].split(","))
    digits = int(options.get("digits", "1"))
    for number in range(first, last + 1, int(options.get("interval", "1"))):
        text = f"{number:0{digits}d}"
        assert "digits" not in options or len(text) == digits, "the documentation has no such case"
        yield text


def _date(options: Mapping[str, str], now: datetime) -> Iterator[str]:
    assert {"type", "range", "format"} <= set(options)
    form = options["format"]
    for letters, part in _JAVA:
        form = form.replace(letters, part)
    assert not re.search("[A-Za-z]", re.sub("%[YmdH]", "", form)), "a letter of Java's is unknown"
    moment, last = (_bound(text, form, now) for text in options["range"].split(","))
    unit = options.get("interval.unit", "DAYS")
    finest = [letter for letter in "YmdH" if f"%{letter}" in form][-1]
    assert {"YEARS": "Y", "MONTHS": "m", "DAYS": "d", "HOURS": "H"}[unit] == finest
    assert options.get("interval", "1") == "1"
    while moment <= last:
        yield moment.strftime(form)
        moment = _next(moment, unit)


def _bound(text: str, form: str, now: datetime) -> datetime:
    """A bound of a range, as exact as the format."""
    relative = _RELATIVE.fullmatch(text)
    if not relative:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    sign, count, unit = relative.groups()
    step = timedelta(**{f"{unit.lower()}s": int(count)}) if unit else timedelta()
    moment = now - step if sign == "-" else now + step
    return datetime.strptime(moment.strftime(form), form).replace(tzinfo=UTC)


def _next(moment: datetime, unit: str) -> datetime:
    if unit == "MONTHS":
        return moment + timedelta(calendar.monthrange(moment.year, moment.month)[1])
    return moment + (timedelta(hours=1) if unit == "HOURS" else timedelta(days=1))


_PROJECTIONS: Final[Mapping[str, Callable[[Mapping[str, str], datetime], Iterator[str]]]] = {
    "enum": _enum,
    "integer": _integer,
    "date": _date,
}
