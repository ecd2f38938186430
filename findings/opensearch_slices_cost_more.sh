#!/usr/bin/env bash
# OpenSearch: reading a whole index in slices costs more than without, if it has fewer shards.
#
# Versions:  OpenSearch 2.19.1, opensearch-py 3.2.0, Python 3.11
# Behaviour: with fewer shards than slices, a slice is a filter on the hash of _id. A search in a
#            point in time evaluates it for every document of the shard, for each page (a scroll
#            does the same). Two slices of one shard need several times the CPU time of one reader.
#            With at least as many shards as slices, a slice is a set of shards and costs nothing.
# Instead:   read without slices, sorted by _doc, with search_after. _doc is unique within a shard
#            only: begin a page with the last key of the page before, and drop what you know.
# Needs:     OPENSEARCH_URL, a node that does nothing else, such as that of `make up`
#            (. build/run/env.sh).
# Output:    a line "SEEN ..." per way. Exits 1 if the behaviour has changed.
set -euo pipefail
: "${OPENSEARCH_URL:?give the URL of an OpenSearch}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opensearch-py==3.2.0

cat > "$folder/slices.py" <<'PY'
import os
import sys
import time

from opensearchpy import OpenSearch
from opensearchpy.helpers import bulk

INDEX, COUNT, PAGE = "finding-slices", 100_000, 5_000
client = OpenSearch(os.environ["OPENSEARCH_URL"], timeout=60)


def cpu() -> int:
    time.sleep(1.5)  # a node measures itself once a second
    (node,) = client.nodes.stats(metric="process")["nodes"].values()
    return node["process"]["cpu"]["total_in_millis"]


def read(slices: int) -> int:
    pit = {"id": client.create_pit(index=INDEX, params={"keep_alive": "2m"})["pit_id"]}
    started, ids = cpu(), set()
    for part in range(slices):
        body = {"pit": pit, "sort": ["_doc"], "size": PAGE, "track_total_hits": False}
        if slices > 1:
            body["slice"] = {"id": part, "max": slices}
        while hits := client.search(body=body)["hits"]["hits"]:
            ids |= {hit["_id"] for hit in hits}
            body["search_after"] = hits[-1]["sort"]  # one shard: nothing repeats
    assert len(ids) == COUNT, len(ids)
    client.delete_pit(body={"pit_id": [pit["id"]]})
    return cpu() - started


client.indices.create(index=INDEX, body={"settings": {"number_of_shards": 1}})
try:
    documents = ({"_index": INDEX, "_id": str(n), "n": n} for n in range(COUNT))
    bulk(client, documents, chunk_size=PAGE, refresh=True)
    read(1)  # warms up
    used = {slices: min(read(slices) for _ in range(2)) for slices in (1, 2)}
finally:
    client.indices.delete(index=INDEX)
for slices, millis in used.items():
    print(f"SEEN slices={slices} shards=1: {millis} ms of the server's CPU time")
sys.exit(used[2] < 2 * used[1])
PY
"$folder/venv/bin/python" "$folder/slices.py"
