"""Builds: everything missing is reported in one message, what is current is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.errors import UserError
from dev.servers.setup import pom_property
from pipeline.deploy import builds
from pipeline.deploy.builds import Cache
from pipeline.deploy.prerequisites import (
    JAVA,
    Prerequisite,
    compiler_problem,
    java_major,
    java_problem,
    java_version,
    require,
    too_old,
)


def test_everything_missing_is_told_at_once() -> None:
    missing = [Prerequisite(lambda: "no java", "get java"), Prerequisite(lambda: None, "fine")]

    with pytest.raises(UserError) as caught:
        require(*missing, Prerequisite(lambda: "no maven", "get maven"))

    message = str(caught.value)
    assert "no java\n    get java" in message
    assert "no maven\n    get maven" in message
    assert "fine" not in message


DEBIAN = """\
openjdk version "17.0.15" 2025-04-15
OpenJDK Runtime Environment (build 17.0.15+6-Debian-1deb12u1)
OpenJDK 64-Bit Server VM (build 17.0.15+6-Debian-1deb12u1, mixed mode, sharing)
"""
CORRETTO = """\
Picked up JAVA_TOOL_OPTIONS: -Dnote="version "8""
openjdk version "21.0.7" 2025-04-15 LTS
OpenJDK Runtime Environment Corretto-21.0.7.6.1 (build 21.0.7+6-LTS)
"""
ORACLE = 'java version "1.8.0_402"\nJava(TM) SE Runtime Environment (build 1.8.0_402-b08)\n'
SEMERU = 'openjdk version "11.0.22" 2024-01-16\nEclipse OpenJ9 VM 11.0.22.0\n'
EARLY = 'openjdk version "24-ea" 2025-03-18\nOpenJDK Runtime Environment (build 24-ea+31-3600)\n'


@pytest.mark.parametrize(
    ("shown", "version", "major"),
    [
        (DEBIAN, "17.0.15", 17),
        (CORRETTO, "21.0.7", 21),
        (ORACLE, "1.8.0_402", 8),
        (SEMERU, "11.0.22", 11),
        (EARLY, "24-ea", 24),
        ('openjdk version "21" 2023-09-19', "21", 21),
        ("command not understood", "", None),
    ],
)
def test_java_s_version_is_understood(shown: str, version: str, major: int | None) -> None:
    assert java_version(shown) == version
    assert java_major(version) == major


@pytest.mark.parametrize(
    ("version", "good"),
    [("16.0.2", False), ("17.0.15", True), ("21.0.7", True), ("22", False), ("24", False)],
)
def test_java_from_17_to_21_is_good_on_path_and_in_java_home(
    version: str, good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine, other = (_program(tmp_path / each / "bin" / "java") for each in ("fine", "other"))
    fine.write_text("#!/bin/sh\necho 'openjdk version \"17.0.15\"' >&2\n")
    other.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    expected = None if good else f"{other} is version {version}; a JDK from 17 to 21 is needed"

    monkeypatch.setenv("PATH", str(other.parent))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert java_problem() == expected
    monkeypatch.setenv("PATH", str(fine.parent))
    monkeypatch.setenv("JAVA_HOME", str(other.parents[1]))
    assert java_problem() == expected


def test_missing_java_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="java was not found on PATH; a JDK from 17 to 21"):
        require(JAVA)


@pytest.mark.parametrize(
    ("shown", "oldest", "problem"),
    [
        ("Apache Maven 3.8.7", (3, 6, 3), None),
        ("Apache Maven 3.6.0 (97c98ec)", (3, 6, 3), "3.6.0; 3.6.3 or newer is needed"),
        ("go version go1.26.8 linux/amd64", (1, 21), None),
        ("go version go1.19 linux/amd64", (1, 21), "1.19; 1.21 or newer is needed"),
        ("v20.20.2", (16, 0), None),
        ("v14.21.3", (16, 0), "14.21.3; 16.0 or newer is needed"),
        ("what?", (16, 0), "unknown; 16.0 or newer is needed"),
    ],
)
def test_program_that_is_too_old_is_named_with_its_version(
    shown: str, oldest: tuple[int, ...], problem: str | None, tmp_path: Path
) -> None:
    program = _program(tmp_path / "program")
    program.write_text(f"#!/bin/sh\necho '{shown}'\n")
    expected = problem and f"{program} is version {problem}"
    assert too_old(str(program), "--version", oldest) == expected


def _program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o755)
    return path


def test_part_is_current_until_its_inputs_or_its_output_change(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    output = tmp_path / "thing"
    part = builds.Part("thing", "making it", "version 1", output, output.touch)
    assert not builds.is_current(cache, part)

    part.build()
    builds.write_stamp(cache, part)

    assert builds.is_current(cache, part)
    newer = builds.Part("thing", "making it", "version 2", output, output.touch)
    assert not builds.is_current(cache, newer)
    output.unlink()
    assert not builds.is_current(cache, part)


def test_the_jar_is_built_anew_when_one_of_our_classes_changes(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    source = tmp_path / "connectors" / "src" / "main" / "java" / "One.java"
    source.parent.mkdir(parents=True)
    cache.pom.write_text("<project/>")
    digests = set()
    for text in ("class One {}", "class One { }"):
        source.write_text(text)
        digests.add(builds.connectors_part(cache).digest)
    assert len(digests) == 2


@pytest.mark.parametrize("of_home", [True, False])
def test_a_jre_is_told_from_a_jdk(
    of_home: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(tmp_path / "bin" / "java")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv(
        "JAVA_HOME" if of_home else "PATH", str(tmp_path / ("" if of_home else "bin"))
    )
    assert compiler_problem() == f"{tmp_path} has no bin/javac: it is a JRE, a JDK is needed"
    _program(tmp_path / "bin" / "javac")
    assert compiler_problem() is None


def test_failing_build_command_shows_the_end_of_what_it_said() -> None:
    with pytest.raises(UserError, match="failed with exit code 3:\nno network"):
        builds.run(["sh", "-c", "echo no network; exit 3"])


def test_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a checkout"):
        builds.setup_connectors(tmp_path, say=print)


def test_pom_property_that_is_missing_is_named() -> None:
    assert pom_property("<a.version>v1</a.version>", "a.version") == "v1"
    with pytest.raises(UserError, match=r"no property b\.version"):
        pom_property("<a.version>v1</a.version>", "b.version")
