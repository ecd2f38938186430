"""The connectors' jar: Java 11 can load it, and it holds the versions without advisories."""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.servers.setup import pom_property
from pipeline.deploy.builds import setup_connectors

ROOT = Path(__file__).parents[2]
POM = (ROOT / "connectors" / "pom.xml").read_text("utf-8")
JAVA_11 = 55
"""The class file version of Java 11, which Amazon Managed Flink runs for Flink 1.20."""


@pytest.fixture(scope="module")
def jar() -> Iterator[zipfile.ZipFile]:
    cache = setup_connectors(ROOT, say=print)
    with zipfile.ZipFile(cache.connectors_jar) as opened:
        yield opened


def test_java_11_loads_every_class(jar: zipfile.ZipFile) -> None:
    """Java ignores newer classes below META-INF/versions."""
    classes = [each for each in jar.namelist() if each.endswith(".class")]
    versions = {
        each: class_version(jar, each)
        for each in classes
        if not each.startswith("META-INF/versions/")
    }
    assert len(versions) > 50_000
    assert {name: version for name, version in versions.items() if version > JAVA_11} == {}


def class_version(jar: zipfile.ZipFile, name: str) -> int:
    with jar.open(name) as file:
        magic, _, version = struct.unpack(">IHH", file.read(8))
    assert magic == 0xCAFEBABE, name
    return int(version)


def test_it_holds_a_class_of_each_of_our_sources(jar: zipfile.ZipFile) -> None:
    sources = ROOT / "connectors" / "src" / "main" / "java"
    expected = {
        str(path.relative_to(sources).with_suffix(".class")) for path in sources.rglob("*.java")
    }
    ours = {each for each in jar.namelist() if each.startswith("streaming/") and each[-1] != "/"}
    assert expected and {each for each in ours if "$" not in each} == expected  # $: an inner class


@pytest.mark.parametrize(
    ("name", "file", "found"),
    [
        ("kafka.clients", "kafka/kafka-version.properties", r"^version=(.*)$"),
        ("lz4", "META-INF/maven/at.yawk.lz4/lz4-java/pom.properties", r"^version=(.*)$"),
        ("netty", "META-INF/maven/io.netty/netty-handler/pom.properties", r"^version=(.*)$"),
        ("jackson", "com/fasterxml/jackson/core/json/PackageVersion.class", r"(2\.\d+\.\d+)"),
        ("jackson", "com/fasterxml/jackson/databind/cfg/PackageVersion.class", r"(2\.\d+\.\d+)"),
        ("msk.iam", "version.properties", r"^version=(.*)$"),
    ],
)
def test_it_holds_the_version_of_the_pom(
    jar: zipfile.ZipFile, name: str, file: str, found: str
) -> None:
    match = re.search(found, jar.read(file).decode("latin-1"), re.MULTILINE)
    assert match is not None
    assert match[1].strip() == pom_property(POM, f"{name}.version")


def test_it_holds_the_native_codecs_of_the_pom(jar: zipfile.ZipFile) -> None:
    names = set(jar.namelist())
    assert f"linux/amd64/libzstd-jni-{pom_property(POM, 'zstd.version')}.so" in names
    snappy = pom_property(POM, "snappy.version")
    stated = jar.read("org/xerial/snappy/VERSION").decode()  # 1.1.10 of 1.1.10.9
    assert f"SNAPPY_VERSION={snappy.rpartition('.')[0]}\n" in stated
    # The limit of a chunk's size came with 1.1.10.4, the fix of CVE-2023-43642.
    assert b"MAX_CHUNK_SIZE" in jar.read("org/xerial/snappy/SnappyInputStream.class")


@pytest.mark.parametrize(
    "absent",
    [
        "com/google/protobuf/",
        "io/airlift/compress/",
        "org/apache/parquet/avro/",
        "META-INF/maven/org.lz4/",
        "org/apache/logging/log4j/core/",
    ],
)
def test_what_nothing_needs_is_not_in_it(jar: zipfile.ZipFile, absent: str) -> None:
    assert [each for each in jar.namelist() if each.startswith(absent)] == []
