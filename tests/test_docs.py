"""Pages that are written from the code are equal to it."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dev.bench.report import page_table
from dev.pages import metrics_table, reasons_table
from pipeline.cli import COMMANDS, load

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY")),
    *sorted(DOCS.rglob("*.md")),
]
CITED = re.compile(r"`((?:connectors|pipeline|dev|tests|docs|conf|schemas|findings)/[\w./-]+)`")
"""A path of this checkout in a page, without placeholders."""


@pytest.mark.parametrize(
    ("page", "table"),
    [
        ("dead-letters.md", reasons_table()),
        ("metrics.md", metrics_table()),
    ],
)
def test_the_table_is_in_the_page(page: str, table: str) -> None:
    assert table in (DOCS / page).read_text()


def test_the_kept_bench_is_in_the_page() -> None:
    kept = json.loads((DOCS / "benchmarks" / "lake.json").read_text())
    page = (DOCS / "performance.md").read_text()
    assert page_table(kept) in page
    assert f"To Spark tuned it is {kept['ratio_to_spark_tuned']:.2f}" in page
    assert f"lenient JSON format {kept['ratio_to_flink_json']:.2f}" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_cites_exists(page: Path) -> None:
    cited = CITED.findall(page.read_text())
    assert [path for path in cited if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
        found = (page.parent / target) if target else page
        assert found.exists(), target
        titles = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in [title.lower().replace(" ", "-") for title in titles]


def test_the_audited_versions_are_the_pinned_ones() -> None:
    """Whoever changes one of them checks its advisories again."""
    _, shipped, java, _ = re.split(r"\*\*(?:Python, shipped|Java, in .*|Flink's own jars)\*\*",
                                   (DOCS / "security.md").read_text())  # fmt: skip
    lock = (ROOT / "conf" / "requirements.lock").read_text()
    python = re.findall(r"`([\w-]+)` (\d[\d.]*)", re.sub(r"\| [^|]*\|\n", "\n", shipped))
    assert len(python) >= 7
    assert [each for each in python if f"\n{each[0]}=={each[1]} " not in lock] == []
    pom = (ROOT / "connectors" / "pom.xml").read_text()
    pinned = re.findall(r"\*\*Now (?:`[^`]*` )?(\d[\d.-]*\d)", java)
    pinned += re.findall(
        r"^\| `(?:hadoop-client-api|parquet)`[^|]*? (\d[\d.]*) \|", java, re.MULTILINE
    )
    assert len(pinned) == 8
    assert [
        each for each in pinned if not re.search(rf">{re.escape(each)}(?:\.Final)?<", pom)
    ] == []


def test_the_audited_crates_are_the_locked_ones() -> None:
    page = (DOCS / "security.md").read_text().partition("**Rust, in the native decoder:**")[2]
    audited = re.search(r"`pyo3` ([\d.]+) .*\*\*Now ([\d.]+)\.\*\*", page, re.DOTALL)
    locked = tomllib.loads((ROOT / "native" / "Cargo.lock").read_text())["package"]
    versions = {crate["name"]: crate["version"] for crate in locked}
    assert audited and audited.groups() == (versions["pyo3"], versions["arrow-array"])


def test_every_command_in_the_pages_is_one_of_ours() -> None:
    wrong = [
        f"{page.name}: {line.strip()}"
        for page in PAGES
        for line in re.findall(r"^\s*streaming-etl [^\n]*", page.read_text(), re.MULTILINE)
        if not is_ours(shlex.split(line, comments=True)[1:])
    ]
    assert wrong == []


def is_ours(words: list[str]) -> bool:
    """Whether the words name a command and options that it has."""
    if not words or words[0] not in COMMANDS:
        return not {*words} - {"--help"}
    command: Any = load(words.pop(0))
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    options = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    given = {word.partition("=")[0] for word in words if word.startswith("-")}
    return given <= options | {"--help"} and not hasattr(command, "commands")
