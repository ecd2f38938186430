#!/usr/bin/env bash
# aws-msk-iam-auth signs for a region that only the cluster's name mentions; the release that fixes
# it is compiled for Java 17, and nothing in its coordinates says so.
#
# Versions:  aws-msk-iam-auth 2.3.4 and 2.3.9, kafka-clients 3.4.0, JDK 17
# Behaviour: 2.3.4 (Java 8 classes) takes the first region id that occurs anywhere in the broker's
#            name: for a cluster called "...us-west-1..." in us-west-2 it signs for us-west-1, and
#            the broker answers "Access denied". AWS_REGION does not help: it is used only for names
#            without any region id. 2.3.9 answers us-west-2, but its classes are version 61: a
#            runtime on Java 11, such as Flink 1.20's images and managed service, cannot load it.
# Instead:   name clusters without other regions' ids, or run Flink on Java 17 with 2.3.8 or later.
# Known:     issue 245 of aws-msk-iam-auth (fixed in 2.3.8).
# Output:    a line "SEEN ..." per release and broker name. Exits 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/Region.java" <<'JAVA'
import software.amazon.msk.auth.iam.internals.utils.RegionUtils;

public class Region {
    public static void main(String[] hosts) {
        for (String host : hosts) {
            System.out.println(host + " -> " + RegionUtils.extractRegionFromHost(host));
        }
    }
}
JAVA

libraries() { # copies a release with its dependencies to a folder
  cat > "$folder/pom-$1.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId><artifactId>msk-iam-region</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>software.amazon.msk</groupId><artifactId>aws-msk-iam-auth</artifactId><version>$1</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-clients</artifactId><version>3.4.0</version></dependency>
  </dependencies>
</project>
XML
  mvn -q -B -f "$folder/pom-$1.xml" dependency:copy-dependencies -DoutputDirectory="$folder/$1"
}

plain=b-1.demo.abc123.c2.kafka.us-west-2.amazonaws.com
misleading=b-1.demo-us-west-1-app.abc123.c2.kafka.us-west-2.amazonaws.com
own=kafka.internal
seen=""
for release in 2.3.4 2.3.9; do
  libraries "$release"
  class=$(javap -v -cp "$folder/$release/aws-msk-iam-auth-$release.jar" \
    software.amazon.msk.auth.iam.internals.utils.RegionUtils | awk '/major version/ {print $3}')
  answers=$(AWS_REGION=eu-west-1 java -cp "$folder/$release/*" "$folder/Region.java" \
    $plain $misleading $own 2>/dev/null)
  seen+=$(printf 'class version %s\n%s\n' "$class" "$answers" | sed "s/^/SEEN $release /")$'\n'
done
printf '%s' "$seen"
expect() { grep -qxF "SEEN $1" <<<"$seen" || { echo "changed: no line '$1'" >&2; exit 1; }; }
expect "2.3.4 class version 52"
expect "2.3.9 class version 61"
for release in 2.3.4 2.3.9; do
  expect "$release $plain -> us-west-2"
  expect "$release $own -> eu-west-1"
done
expect "2.3.4 $misleading -> us-west-1"
expect "2.3.9 $misleading -> us-west-2"
