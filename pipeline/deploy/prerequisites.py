"""What the machine must bring; everything missing is reported in one message."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from connectors.errors import UserError

# Kafka 4.1 needs Java 17. From 24 on, Subject.getSubject throws, which Flink's S3 file system
# (Hadoop) calls: https://openjdk.org/jeps/486. 21 is the last with long-term support before that.
JAVA_VERSIONS = range(17, 22)
# Of the plugins in connectors/pom.xml.
OLDEST_MAVEN = (3, 6, 3)
PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """One thing that must be there: `problem` says what is wrong with it, or None."""

    problem: Callable[[], str | None]
    remedy: str


def require(*prerequisites: Prerequisite) -> None:
    """Raise one UserError that names everything missing and how to get it."""
    problems = [(problem, need.remedy) for need in prerequisites if (problem := need.problem())]
    if problems:
        lines = [f"  - {problem}\n    {remedy}" for problem, remedy in problems]
        raise UserError("Set-up needs what this machine does not have:\n" + "\n".join(lines))


def system_problem() -> str | None:
    """Flink's Python workers and our process handling are tested on Linux alone."""
    return None if sys.platform == "linux" else f"Linux is needed, this is {sys.platform}"


def python_problem() -> str | None:
    """PyFlink 1.20 with pyarrow 11 has wheels for 3.11 at most; the project is tested on it
    alone."""
    if sys.version_info[:2] == PYTHON:
        return None
    return f"Python 3.11 is needed, this is {sys.version.split()[0]} ({sys.executable})"


def java_problem() -> str | None:
    """The servers run on PATH's java; Maven and Flink's scripts prefer that of JAVA_HOME."""
    oldest, newest = JAVA_VERSIONS[0], JAVA_VERSIONS[-1]
    needed = f"a JDK from {oldest} to {newest} is needed"
    home = os.environ.get("JAVA_HOME")
    for program in ("java", *([f"{home}/bin/java"] if home else [])):
        path = shutil.which(program)
        if path is None:
            return f"{program} was not found{'' if '/' in program else ' on PATH'}; {needed}"
        version = java_version(printed(path, "-version"))
        if java_major(version) not in JAVA_VERSIONS:
            return f"{path} is version {version or 'unknown'}; {needed}"
    return None


def java_version(shown: str) -> str:
    """Return the version in what `java -version` prints, such as 17.0.15; empty if there is none.

    >>> java_version('openjdk version "21.0.2" 2024-01-16 LTS')
    '21.0.2'
    """
    match = re.search(r'^\S+ version "([^"]+)"', shown, re.MULTILINE)
    return match[1] if match else ""


def java_major(version: str) -> int | None:
    """Return the major version: 17 of 17.0.15, 8 of 1.8.0_402, 24 of 24-ea."""
    match = re.match(r"(?:1\.)?(\d+)", version)
    return int(match[1]) if match else None


def maven_problem() -> str | None:
    """Maven fetches the jars; it is not needed once they are in the cache."""
    return too_old("mvn", "--version", OLDEST_MAVEN)


def compiler_problem() -> str | None:
    """Maven compiles with the JDK of JAVA_HOME, else with that of PATH's java."""
    java = shutil.which("java")
    home = os.environ.get("JAVA_HOME") or (java and str(Path(java).resolve().parent.parent))
    if not home or shutil.which(f"{home}/bin/javac"):
        return None
    return f"{home} has no bin/javac: it is a JRE, a JDK is needed"


def too_old(program: str, option: str, oldest: tuple[int, ...]) -> str | None:
    """Return what is wrong with a program's version, which is the first that it prints."""
    needed = f"{'.'.join(map(str, oldest))} or newer is needed"
    path = shutil.which(program)
    if path is None:
        return f"{program} was not found on PATH; {needed}"
    match = re.search(r"\d+(?:\.\d+)+", printed(path, option))
    if match and tuple(map(int, match[0].split("."))) >= oldest:
        return None
    return f"{path} is version {match[0] if match else 'unknown'}; {needed}"


def printed(program: str, option: str) -> str:
    """Return what a program prints; java prints its version as an error."""
    done = subprocess.run([program, option], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


LINUX = Prerequisite(system_problem, "use Linux, or docs/docker.md")
PYTHON_3_11 = Prerequisite(
    python_problem, "make the virtual environment with python3.11 (apt install python3.11-venv)"
)
_JDK = "apt install openjdk-17-jdk-headless, and set PATH and JAVA_HOME to it"
JAVA = Prerequisite(java_problem, _JDK)
JAVAC = Prerequisite(compiler_problem, _JDK)
MAVEN = Prerequisite(maven_problem, "apt install maven")
