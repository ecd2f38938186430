"""Write the page's tables: the reconciliation, rejects by reason, and the lake's files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.ops.page.charts import Bar, bars
from pipeline.ops.page.data import Reconciled, Step
from pipeline.ops.page.markup import (
    Markup,
    breakable,
    count,
    element,
    join,
    sign,
    size,
)
from pipeline.ops.reconcile.inventory import FilesClass, Inventory, Share, SizeClass
from pipeline.ops.reconcile.report import KINDS, Rejects
from pipeline.terminal import counted

_NOT_JUDGED: Final = "not judged"
_MOST: Final = 20
"""The most rows of rejects, and of findings; the page only counts the rest."""


def steps(reconciled: Reconciled) -> Markup:
    """Return a row for each step of the reconciliation, with what isn't judged named so."""
    heads = ("step", "in", "out", *KINDS, "of which, besides")
    return _table(heads, map(_step, reconciled.steps))


def findings(reconciled: Reconciled) -> Markup | None:
    """Return a sentence for each finding, with its first positions; None if there is none."""
    found = [(step, finding) for step in reconciled.steps for finding in step.findings]
    items = [
        element(
            "li",
            element("strong", f"{step.step}: {count(finding.count)} {finding.kind}"),
            f", {finding.meaning}{'' if finding.is_error else ' (the guarantee allows it)'}: ",
            element("code", ", ".join(finding.names)),
        )
        for step, finding in found[:_MOST]
    ]
    if len(found) > _MOST:
        items.append(element("li", f"and {counted(len(found) - _MOST, 'more finding')}"))
    return element("ul", *items, class_="findings") if items else None


def rejects(rows: Sequence[Rejects] | None) -> Markup:
    """Return the rejects by step and reason, the most frequent first."""
    if rows is None:
        return _quiet("Unknown: the configuration has no dead letters.")
    if not rows:
        return _quiet("No record was rejected.")
    shown = [
        Bar(
            f"{each.reason or 'no reason'} ({each.step or 'no step'})",
            each.count,
            (count(each.count),),
        )
        for each in rows[:_MOST]
    ]
    table = bars(("reason (step)", "", "records"), shown, "second")
    if not (rest := rows[_MOST:]):
        return table
    records = counted(sum(each.count for each in rest), "record")
    return join(table, _quiet(f"{counted(len(rest), 'other reason')}: {records}."))


def files(found: Inventory | None) -> tuple[Markup, ...]:
    """Return files by size, partitions by their files, and the partitions with the most bytes."""
    if found is None:
        return (_quiet("Unknown: the configuration has no lake."),)
    if not found.files:
        return (_quiet("The lake has no files yet."),)
    sizes = [
        Bar(_bounds(each), each.files, (count(each.files), size(each.bytes)))
        for each in found.sizes
    ]
    by_files = [
        Bar(_files(each), each.partitions, (count(each.partitions),)) for each in found.by_files
    ]
    partitions = [
        Bar(
            breakable(each.name or "outside of any partition"),
            each.bytes,
            (count(each.files), size(each.bytes)),
        )
        for each in found.largest
    ]
    others = _others(found.partitions - len(found.largest), found.others)
    return (
        bars(("size of a file", "", "files", "size in all"), sizes),
        bars(("files of a partition", "", "partitions"), by_files),
        bars(("largest partitions", "", "files", "size"), partitions),
        *others,
    )


def _others(partitions: int, share: Share) -> list[Markup]:
    if not partitions:
        return []
    counts = f"{counted(partitions, 'other partition')}: {counted(share.files, 'file')}"
    return [_quiet(f"{counts}, {size(share.bytes)}.")]


def _step(step: Step) -> Iterator[Markup]:
    yield element("th", step.step, scope="row")
    yield element("td", count(step.due), class_="number")
    yield element("td", count(step.observed), class_="number")
    for kind in KINDS:
        number = step.counts[kind]
        style = "number quiet" if number is None else "number bad" if number else "number"
        text = _NOT_JUDGED if number is None else count(number)
        yield element("td", sign(False) if number else None, text, class_=style)
    besides = (f"{name} {count(number)}" for name, number in step.figures.items() if number)
    yield element("td", ", ".join(besides), class_="besides")


def _table(heads: Sequence[str], rows: Iterator[Iterator[Markup]]) -> Markup:
    head = element("tr", *(element("th", text, scope="col") for text in heads))
    table = element(
        "table",
        element("thead", head),
        element("tbody", *(element("tr", *row) for row in rows)),
        class_="steps",
    )
    return element("div", table, class_="scroll", tabindex="0")


def _bounds(each: SizeClass) -> str:
    if not each.least:
        return f"below {size(each.below)}"
    return (
        f"{size(each.least)} to {size(each.below)}" if each.below else f"{size(each.least)} or more"
    )


def _files(each: FilesClass) -> str:
    if each.most is None:
        return f"{count(each.least)} or more"
    return count(each.most) if each.least == each.most else f"{each.least} to {each.most}"


def _quiet(text: str) -> Markup:
    return element("p", text, class_="quiet")
