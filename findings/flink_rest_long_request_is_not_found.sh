#!/usr/bin/env bash
# Flink's REST API answers a request line of more than 4,096 bytes with 404, as if nothing were there.
#
# Versions:  apache-flink 1.20.5, Java 17
# Behaviour: Netty's HttpServerCodec has its default limit for the first line of a request, and Flink
#            no option for it. A longer one, such as .../subtasks/metrics?get= with all metrics of a
#            task, gets 404 `Unable to load requested file /bad-request`, and no 414.
# Instead:   ask for metrics in several requests: `name_lists` in connectors/flink/job_metrics.py.
# Known:     not documented: https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/ops/rest_api/
# Output:    a line "SEEN ..." with both answers. Exits 1 if the behaviour has changed.
#            FLINK_LIB=FOLDER takes Flink's jars from there in place of a fresh pip package.
set -euo pipefail
folder=$(mktemp -d)
manager=
trap '[ -z "$manager" ] || kill "$manager" 2> /dev/null || true; rm -rf "$folder"' EXIT
if [ -z "${FLINK_LIB:-}" ]; then
  python3.11 -m venv "$folder/venv"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "setuptools<81" apache-flink==1.20.5
  FLINK_LIB=$("$folder/venv/bin/python" -c 'import pathlib, pyflink; print(pathlib.Path(pyflink.__file__).parent / "lib")')
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$folder/conf"
cat > "$folder/conf/config.yaml" <<YAML
rest: {address: 127.0.0.1, bind-address: 127.0.0.1, port: $port}
jobmanager:
  bind-host: 127.0.0.1
  rpc: {address: 127.0.0.1, port: 0}
  memory: {process: {size: 1g}}
blob: {server: {port: "0"}}
YAML
java -Xmx256m -cp "$FLINK_LIB/*" org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint \
  --configDir "$folder/conf" > "$folder/log" 2>&1 &
manager=$!

code() { # of a request line with that many bytes more
  curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/jobs/overview?x=$(printf 'x%.0s' $(seq "$1"))"
}
for _ in $(seq 240); do
  [ "$(code 1 || true)" = 200 ] && break
  kill -0 "$manager" || { cat "$folder/log"; exit 1; }
  sleep 0.5
done
short=$(code 3900) long=$(code 4100)
echo "SEEN $short for a request line of some 3,900 bytes, $long for one of some 4,100"
test "$short" = 200 && test "$long" = 404
