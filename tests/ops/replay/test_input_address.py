"""Which objects an address on S3 selects; on moto, whose keys are literal as AWS's are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from connectors.errors import UserError
from connectors.s3.store import open_store
from dev.servers import s3
from pipeline.ops.replay.history import History
from pipeline.ops.replay.old_options import translate
from pipeline.ops.replay.selection import Selection
from tests.ops.replay.input_data import seconds, trip

OBJECTS = {
    "trips/part-0.json": 0,
    "trips/part-1.json": 1,
    "trips/part-1.json.old": 2,
    "trips/_part-9.json": 3,
    "trips#2018/a.json": 4,
    "trips?x=1/a.json": 5,
    "trips%20x/a.json": 6,
    "trips-more/a.json": 7,
    "trips": 8,
    "only/file": 9,
}
"""The second of the one trip of each object."""


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {"S3_ENDPOINT": f"http://{host}:{port}", **s3.CREDENTIALS}
    s3.create_bucket("bucket", endpoint=variables["S3_ENDPOINT"])
    store = open_store("s3://bucket", variables)
    for key, second in OBJECTS.items():
        store.write(key, trip(second) + b"\n")
    yield variables
    server.stop()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("trips/", [0, 1, 2]),
        ("trips", [0, 1, 2]),
        ("trips/part-", [0, 1, 2]),
        ("trips/part-1", [1, 2]),
        ("trips/part-1.json", [1]),
        ("trips/_part-9.json", [3]),
        ("trips#2018/", [4]),
        ("trips#20", [4]),
        ("trips?x=1", [5]),
        ("trips%20x", [6]),
        ("tri", [0, 1, 2, 4, 5, 6, 7, 8]),
        ("", list(range(3)) + list(range(4, 10))),
    ],
)
@pytest.mark.parametrize("scheme", ["s3", "s3a"])
def test_an_address_selects(
    environment: dict[str, str], scheme: str, address: str, expected: list[int]
) -> None:
    source = History(f"{scheme}://bucket/{address}", Selection(), environment)
    assert seconds(source.blocks()) == expected


@pytest.mark.parametrize(
    "address", ["trips/par/", "trips/part-2", "trips#2019/", "trips/_part-", "T"]
)
def test_an_address_that_selects_nothing_is_refused(
    environment: dict[str, str], address: str
) -> None:
    with pytest.raises(UserError, match="there is no data file"):
        History(f"s3://bucket/{address}", Selection(), environment)


def test_the_object_prefix_of_the_original_selects_the_same(environment: dict[str, str]) -> None:
    (uri,), _ = translate(["-bucketName", "bucket", "-objectPrefix", "trips/part-"])
    assert seconds(History(uri, Selection(), environment).blocks()) == [0, 1, 2]
