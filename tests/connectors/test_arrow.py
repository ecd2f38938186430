"""Foreign files run no code: pyarrow's guard is active wherever Parquet or Arrow is read."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from connectors.arrow import open_parquet
from connectors.errors import UserError
from connectors.s3.parquet import pages, row_count
from connectors.s3.store import open_store
from pipeline.cli import COMMANDS
from tests import python_typed
from tests.python_typed import REFUSAL

ROOT = Path(__file__).parents[2]
PROBE = "from tests.python_typed import guard_is_active; print(guard_is_active())"
READERS = {
    *("ipc", "parquet", "feather", "dataset", "orc", "flight", "serialize", "deserialize"),
    *("read_parquet", "read_feather", "read_orc", "read_table", "open_file", "open_stream"),
    *("PyExtensionType", "deserialize_pandas", "read_message", "read_schema"),
}
"""What of pyarrow and pandas reads files, streams or Python objects."""


def in_a_process(code: str) -> str:
    """What the code prints in an interpreter of its own, and then whether the guard is active."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{PROBE}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_the_probe_sees_an_absent_guard() -> None:
    assert in_a_process("") == "False"


def test_the_guard_is_active_in_this_process() -> None:
    assert python_typed.guard_is_active()


def test_a_python_type_is_refused_without_what_it_wanted_to_run() -> None:
    with pytest.raises(pa.ArrowInvalid, match=REFUSAL) as refused:
        open_parquet(io.BytesIO(python_typed.parquet()))
    assert "python_typed" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_errors_of_the_source_pass_through() -> None:
    class Unreachable(io.BytesIO):
        def read(self, *size: int | None) -> bytes:
            raise UserError("the store is away")

    with pytest.raises(UserError, match="the store is away"):
        open_parquet(Unreachable(python_typed.parquet()))


def test_a_refused_object_of_a_store_is_a_user_s_error(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(python_typed.parquet())
    store = open_store(str(tmp_path))
    for read in (
        lambda: row_count(store, "a.parquet"),
        lambda: list(pages(store, store.listing())),
    ):
        with pytest.raises(UserError, match=f"a.parquet isn't a readable Parquet file: {REFUSAL}"):
            read()


@pytest.mark.parametrize("module", sorted({module for module, _ in COMMANDS.values()}))
def test_no_command_has_a_reader_without_the_guard(module: str) -> None:
    """As the command line imports it, with what its functions import later."""
    later = [f"import {name}" for name in imported_later(module)]
    code = "\n".join(
        ["from importlib import import_module", f"import_module({module!r})", *later, LOADED]
    )
    loaded, active = in_a_process(code).split()
    assert (loaded, active) in {("True", "True"), ("False", "False")}


LOADED = "import sys; print('pyarrow.parquet' in sys.modules)"


def imported_later(module: str) -> Iterator[str]:
    """The modules of ours that functions of this one import when they are called."""
    path = ROOT / Path(*module.split("."))
    path = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipeline"):
                    yield str(node.module)


@pytest.mark.parametrize("archive", [[], ["--archive"]])
def test_the_command_line_reports_a_bad_file(tmp_path: Path, archive: list[str]) -> None:
    (tmp_path / "a.parquet").write_bytes(python_typed.parquet())
    done = subprocess.run(
        [sys.executable, "-c", "from pipeline.cli import main; main()",
         "replay", str(tmp_path), "--dry-run", *archive],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "BAD FILES: 1" in done.stdout
    assert re.search(REFUSAL, done.stdout)
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("claim_check", "ClaimCheckFunction"),
        ("collect", "CollectFunction"),
        ("decode", "DecodeFunction"),
        ("index", "IndexFunction"),
        ("pack", "PackFunction"),
    ],
)
def test_a_python_worker_has_the_guard_before_its_first_batch(module: str, function: str) -> None:
    """As Flink's worker does: its own modules first, then the unpickled function."""
    payload = in_a_process(
        "import cloudpickle\n"
        f"from pipeline.operators.{module} import {function}\n"
        f"print(cloudpickle.dumps({function}).hex())"
    ).split()[0]
    assert (
        in_a_process(
            "import pyflink.fn_execution.beam.beam_operations\n"
            "from pyflink.fn_execution import pickle\n"
            f"pickle.loads(bytes.fromhex({payload!r}))"
        )
        == "True"
    )


def test_only_the_guarded_module_imports_readers() -> None:
    found = {
        str(path.relative_to(ROOT)): readers
        for room in ("connectors", "pipeline", "schemas")
        for path in (ROOT / room).rglob("*.py")
        if (readers := set(readers_in(ast.parse(path.read_text()))))
    }
    assert found == {"connectors/arrow.py": {"ipc", "parquet"}}


@pytest.mark.parametrize(
    "source",
    [
        "import pyarrow.parquet as pq",
        "import pyarrow.ipc",
        "from pyarrow import feather",
        "from pyarrow.parquet import ParquetFile",
        "import pyarrow as pa\npa.ipc.open_stream(b'')",
        "import pandas as pd\npd.read_parquet('a')",
        "from pandas import read_feather",
    ],
)
def test_an_import_of_a_reader_is_seen(source: str) -> None:
    assert set(readers_in(ast.parse(source)))


def readers_in(tree: ast.AST) -> Iterator[str]:
    """What a module imports of pyarrow's and pandas' readers, or uses of them by attribute."""
    libraries: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] in ("pyarrow", "pandas"):
                    libraries.add(alias.asname or parts[0])
                    yield from READERS & set(parts)
        elif isinstance(node, ast.ImportFrom):
            parts = (node.module or "").split(".")
            if parts[0] in ("pyarrow", "pandas"):
                yield from READERS & {*parts, *(alias.name for alias in node.names)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in libraries and node.attr in READERS:
                yield node.attr
