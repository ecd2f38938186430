#!/usr/bin/env bash
# `npm ci --prefix DIR` rejects a correct lock file if DIR is behind a symbolic link.
#
# Versions:  npm 11.19.1, Node 20.20.2; the package is kinesis-local 0.6.2, without dependencies
# Behaviour: with DIR given by its real path, npm installs the package. With the same DIR given
#            through a link it exits with 1, EUSAGE, "Missing: DIR@ from lock file", and asks to
#            update a lock file that is in sync.
# Instead:   resolve the path before npm gets it (dev/servers/npm.py).
# Output:    a line "SEEN ..." per path. Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/real/app"
ln -s real "$folder/link"
integrity=sha512-mFlmksPMQP/A3nT22N2E8WzUbJcbEdxkCnhNCx2lHj20CW4vzuVH8zn5ByRg5LS5es8tvnx2mY1DpbZ5kw9PPQ==

cat > "$folder/real/app/package.json" <<'JSON'
{"private": true, "dependencies": {"kinesis-local": "0.6.2"}}
JSON
cat > "$folder/real/app/package-lock.json" <<JSON
{"lockfileVersion": 3, "requires": true, "packages": {
  "": {"private": true, "dependencies": {"kinesis-local": "0.6.2"}},
  "node_modules/kinesis-local": {"version": "0.6.2", "integrity": "$integrity"}}}
JSON

install() {
  npm ci --prefix "$folder/$1/app" --ignore-scripts --no-audit --no-fund > "$folder/said" 2>&1 \
    && echo installed || sed -n 's/.*\(Missing: .*\)/refused, \1/p' "$folder/said"
}

real=$(install real)
echo "SEEN real path: $real"
linked=$(install link)
echo "SEEN behind a link: $linked"
[ "$real" = installed ] && [ "$linked" = "refused, Missing: app@ from lock file" ]
