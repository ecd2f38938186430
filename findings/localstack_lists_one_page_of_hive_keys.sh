#!/usr/bin/env bash
# LocalStack 4.9.2 lists only the first page, 1,000 keys, below a prefix whose keys have = in them.
#
# Versions:  localstack-core 4.9.2 (community, from pip), boto3 1.40.40, Python 3.11
# Behaviour: of 1,500 keys such as lake/trip/year=2018/part-00000, the first page of ListObjectsV2
#            has 1,000 keys and IsTruncated true. The next has none and IsTruncated false, so a
#            paginator ends without an error. boto3 asks for encoding-type=url; the server then
#            compares each key in URL encoding with the token, which it does not encode, and
#            year%3D is less than year=. StartAfter skips all keys for the same reason, and the
#            marker of ListObjects does what the token does. Without = all keys are listed, as they
#            are without encoding-type=url.
# Instead:   4.14.0, whose code needs Python 3.12 (run with 3.13): it lists all by ListObjectsV2, and
#            obeys StartAfter (localstack/localstack, pull request 13746). ListObjects still has the
#            error there. In 4.9.2, ask without encoding-type=url as below, or compare the token with
#            the plain key in the installed copy: dev/servers/localstack.py.
# Output:    a line "SEEN ..." per listing: the number of keys, and of each page. Exits 1 if the
#            behaviour has changed. It takes about a minute.
set -euo pipefail
folder=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" || true; wait "$server" || true; fi; rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
# LocalStack gives no upper bounds, and does not load with the newest of some: the second line has
# what dev/servers/localstack.lock has.
timeout 600 "$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  'localstack-core[base-runtime]==4.9.2' boto3==1.40.40 hypercorn==0.18.0 rolo==0.8.9 werkzeug==3.1.9 \
  cbor2==5.6.5 cryptography==45.0.7 plux==1.13.0 psutil==7.0.0 pyopenssl==25.1.0 service-identity==24.2.0

cat > "$folder/list.py" <<'PY'
import sys

import boto3
from botocore.config import Config
from botocore.handlers import set_list_objects_encoding_type_url

COUNT = 1_500
PLAIN, HIVE = "lake/trip/2018/", "lake/trip/year=2018/"


def client():
    return boto3.client(
        "s3",
        endpoint_url=sys.argv[1],
        aws_access_key_id="local",
        aws_secret_access_key="only-for-this-run",
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 10, "mode": "standard"}),
    )


def listed(s3, prefix, operation="list_objects_v2", **options):
    keys, pages = set(), []
    for page in s3.get_paginator(operation).paginate(Bucket="bucket", Prefix=prefix, **options):
        found = [item["Key"] for item in page.get("Contents", ())]
        keys.update(found)
        pages.append(f"{len(found)} {'truncated' if page['IsTruncated'] else 'last'}")
    return f"{len(keys)} keys ({', '.join(pages)})"


s3 = client()
s3.create_bucket(Bucket="bucket")
for prefix in (PLAIN, HIVE):
    for number in range(COUNT):
        s3.put_object(Bucket="bucket", Key=f"{prefix}part-{number:05}", Body=b"")
    print(f"SEEN {prefix}:", listed(s3, prefix))
print(f"SEEN {HIVE} after part-01489:", listed(s3, HIVE, StartAfter=f"{HIVE}part-01489"))
print(f"SEEN {HIVE} by ListObjects:", listed(s3, HIVE, "list_objects"))
without = client()
without.meta.events.unregister(
    "before-parameter-build.s3.ListObjectsV2", set_list_objects_encoding_type_url
)
print(f"SEEN {HIVE} without encoding-type=url:", listed(without, HIVE))
PY

port=$(python3.11 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$folder/tmp"
# Its usual server binds all addresses. The last line keeps it from fetching a certificate,
# reporting its use and answering DNS.
SERVICES=s3 GATEWAY_SERVER=hypercorn GATEWAY_LISTEN="127.0.0.1:$port" OVERRIDE_IN_DOCKER=0 \
  FILESYSTEM_ROOT="$folder" CONFIG_DIR="$folder/config" HOME="$folder" \
  XDG_CACHE_HOME="$folder/cache" TMPDIR="$folder/tmp" LOCALSTACK_HOST="127.0.0.1:$port" \
  SKIP_SSL_CERT_DOWNLOAD=1 DISABLE_EVENTS=1 DNS_ADDRESS=0 \
  timeout --kill-after=10 600 "$folder/venv/bin/python" -I -m localstack.runtime.main \
  > "$folder/log" 2>&1 &
server=$!
for _ in $(seq 600); do
  (: < "/dev/tcp/127.0.0.1/$port") 2> "$folder/wait" && break
  sleep 0.2
done
timeout 300 "$folder/venv/bin/python" "$folder/list.py" "http://127.0.0.1:$port" | tee "$folder/seen" ||
  { tail "$folder/log"; exit 1; }
diff "$folder/seen" - <<'EXPECTED'
SEEN lake/trip/2018/: 1500 keys (1000 truncated, 500 last)
SEEN lake/trip/year=2018/: 1000 keys (1000 truncated, 0 last)
SEEN lake/trip/year=2018/ after part-01489: 0 keys (0 last)
SEEN lake/trip/year=2018/ by ListObjects: 1000 keys (1000 truncated, 0 last)
SEEN lake/trip/year=2018/ without encoding-type=url: 1500 keys (1000 truncated, 500 last)
EXPECTED
