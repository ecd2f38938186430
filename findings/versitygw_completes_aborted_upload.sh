#!/usr/bin/env bash
# versitygw 1.8.0 answers 200 to CompleteMultipartUpload of an aborted upload, if the key is taken.
#
# Versions:  versitygw v1.8.0 (posix), boto3 1.44.5, Python 3.11
# Behaviour: the answer has the ETag that the upload would have had, and the object under the key is
#            unchanged. If no object has the key, the answer is NoSuchUpload, as it is on AWS in both
#            cases. ListParts answers NoSuchUpload in both. A test on this server cannot see that a
#            writer lost an upload to a key that exists.
# Instead:   before you rely on the answer in a test, ask ListParts whether the upload exists.
# Output:    two lines "SEEN ...". Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; fi; rm -rf "$folder"' EXIT
GOBIN="$folder" go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check boto3==1.44.5

cat > "$folder/uploads.py" <<'PY'
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

s3 = boto3.client(
    "s3",
    endpoint_url=sys.argv[1],
    aws_access_key_id="local",
    aws_secret_access_key="only-for-this-run",
    region_name="us-east-1",
    config=Config(retries={"total_max_attempts": 10, "mode": "standard"}),
)
s3.create_bucket(Bucket="bucket")
s3.put_object(Bucket="bucket", Key="taken", Body=b"the object before")


def completed(key):
    upload = {"Bucket": "bucket", "Key": key}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    part = s3.upload_part(**upload, PartNumber=1, Body=b"a part")
    s3.abort_multipart_upload(**upload)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    try:
        answer = s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return f"{answer['ResponseMetadata']['HTTPStatusCode']} with ETag {answer['ETag']}"


print("SEEN key free:", completed("free"))
answer = completed("taken")
print("SEEN key taken:", answer, s3.get_object(Bucket="bucket", Key="taken")["Body"].read())
PY

port=$(python3.11 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$folder/data"
ROOT_ACCESS_KEY=local ROOT_SECRET_KEY=only-for-this-run \
  "$folder/versitygw" --port "127.0.0.1:$port" --quiet posix "$folder/data" > "$folder/log" 2>&1 &
server=$!
for _ in $(seq 100); do
  (: < "/dev/tcp/127.0.0.1/$port") 2> "$folder/wait" && break
  sleep 0.1
done
seen=$("$folder/venv/bin/python" "$folder/uploads.py" "http://127.0.0.1:$port")
echo "$seen"
grep -q '^SEEN key free: NoSuchUpload$' <<<"$seen"
grep -q "^SEEN key taken: 200 with ETag .* b'the object before'$" <<<"$seen"
