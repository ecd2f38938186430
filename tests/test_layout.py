"""The tree stays small: budgets for files and functions, one page for the flow."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from setuptools import find_packages

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "connectors").rglob("*.py")])


def functions() -> Iterator[tuple[str, int]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.name}:{node.name}", (node.end_lineno or 0) - node.lineno + 1


def test_the_flow_is_one_page() -> None:
    assert len((ROOT / "pipeline" / "job.py").read_text().splitlines()) < 120


def test_no_file_is_long() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_column_of_the_taxi_data_is_in_the_code() -> None:
    """Trips are an example: what the job knows of an event is in its schema."""
    schemas = [json.loads(path.read_text()) for path in (ROOT / "schemas").glob("*.avsc")]
    names = {
        each["name"]
        for schema in schemas
        for each in [*schema["fields"], *schema.get("partitionBy", ())]
        if "_" in each["name"]  # others, such as year, are words
    }
    assert {"pickup_location", "pickup_location_id", "trip_id", "fare_amount"} <= names
    columns = re.compile(rf"\b({'|'.join(names)})\b")
    known = {
        *("ops/generate/trips.py", "ops/generate/write.py"),  # the generator of trips
        *("ops/replay/tlc.py", "ops/replay/trips.py"),  # the reader of TLC's files
        "config/reference.py",  # an example of a filter, for the shipped schemas
    }
    found = {path for path in SOURCES if columns.search(path.read_text())}
    assert {path.relative_to(ROOT / "pipeline").as_posix() for path in found} == known


def test_functions_are_short() -> None:
    lengths = sorted(length for _, length in functions())
    assert lengths[int(len(lengths) * 0.9)] <= 35
    assert [name for name, length in functions() if length > 60] == []


def test_every_exception_is_caught_in_one_place_only() -> None:
    broad = [path for path in SOURCES if "except Exception" in path.read_text()]
    assert [path.relative_to(ROOT).as_posix() for path in broad] == ["pipeline/operators/decode.py"]


def test_the_top_level_is_fixed() -> None:
    allowed = {
        "pyproject.toml", "pipeline", "schemas", "connectors", "conf", "docker-compose.yml", "dev",
        "tests", "docs", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE",
        "Makefile", "build", "native", "examples", "findings", "streaming_etl.egg-info",
    }  # fmt: skip
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found <= allowed


def test_what_is_installed_is_the_product_alone() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = project["tool"]["setuptools"]["packages"]["find"]["include"]
    rooms = {name.split(".")[0] for name in find_packages(str(ROOT), include=included)}
    assert rooms == {"connectors", "pipeline", "schemas"}
    assert set(project["project"]["scripts"].values()) == {"pipeline.cli:main"}
