"""What the machine must bring; everything missing is reported in one message."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from connectors.errors import UserError

OLDEST_JAVA = 11
PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """One thing that must be there: `problem` says what is wrong with it, or None."""

    problem: Callable[[], str | None]
    remedy: str


def require(*prerequisites: Prerequisite) -> None:
    """Raise one UserError that names everything missing and how to get it."""
    problems = [(problem, each.remedy) for each in prerequisites if (problem := each.problem())]
    if problems:
        lines = [f"  - {problem}\n    {remedy}" for problem, remedy in problems]
        raise UserError("Set-up needs what this machine does not have:\n" + "\n".join(lines))


def java_major(version_output: str) -> int | None:
    """The major version in what `java -version` prints: 17 for "17.0.15", 8 for "1.8.0_402"."""
    found = re.search(r'version "(?:1\.)?(\d+)', version_output)
    return int(found.group(1)) if found else None


def python_problem() -> str | None:
    """PyFlink 1.20 with pyarrow 11 has wheels for 3.11 at most; the project is tested on it
    alone."""
    if sys.version_info[:2] == PYTHON:
        return None
    return f"Python 3.11 is needed, this is {sys.version.split()[0]} ({sys.executable})"


def java_problem() -> str | None:
    """Flink, Kafka and OpenSearch all run on a JDK from 11 on."""
    java = shutil.which("java")
    if java is None:
        return f"java was not found on PATH (a JDK from version {OLDEST_JAVA} on)"
    shown = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    major = java_major(shown.stderr + shown.stdout)
    if major is None or major < OLDEST_JAVA:
        return f"{java} is version {major or 'unknown'}, a JDK from {OLDEST_JAVA} on is needed"
    return None


def maven_problem() -> str | None:
    """Maven fetches the jars; it is not needed once they are in the cache."""
    return None if shutil.which("mvn") else "mvn (Maven) was not found on PATH"


PYTHON_3_11 = Prerequisite(
    python_problem, "make the virtual environment with python3.11 (apt install python3.11-venv)"
)
JAVA = Prerequisite(java_problem, "apt install openjdk-17-jdk-headless, or set PATH to a JDK")
MAVEN = Prerequisite(maven_problem, "apt install maven")
