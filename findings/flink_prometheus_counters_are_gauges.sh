#!/usr/bin/env bash
# Flink's reporters for Prometheus publish a counter as a gauge, without _total.
#
# Versions:  apache-flink-libraries 1.20.5, Python 3.11, Java 17
# Behaviour: the type of a Counter is "gauge" and its name has no suffix. Prometheus' rate()
#            computes all the same, but everything that goes by the type is misled: promtool's
#            lint, hints of query editors, OpenMetrics. A meter is a gauge per second.
# Instead:   translate what the reporter tells before Prometheus reads it
#            (dev/servers/exposition.py).
# Output:    the lines of the counter that the push reporter sent to a server on 127.0.0.1. Exits 1
#            if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" setuptools==75.8.0
"${pip[@]}" --no-build-isolation apache-flink-libraries==1.20.5
flink=$(echo "$folder"/venv/lib/python3.11/site-packages/pyflink)

cat > "$folder/Report.java" <<'JAVA'
import com.sun.net.httpserver.HttpServer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Map;
import org.apache.flink.metrics.CharacterFilter;
import org.apache.flink.metrics.LogicalScopeProvider;
import org.apache.flink.metrics.MetricConfig;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.SimpleCounter;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.metrics.prometheus.PrometheusPushGatewayReporter;
import org.apache.flink.metrics.prometheus.PrometheusPushGatewayReporterFactory;

public class Report {
    static class Group extends UnregisteredMetricsGroup implements LogicalScopeProvider {
        public String getLogicalScope(CharacterFilter filter) { return "example"; }
        public String getLogicalScope(CharacterFilter filter, char delimiter) { return "example"; }
        public MetricGroup getWrappedMetricGroup() { return this; }
        @Override public Map<String, String> getAllVariables() { return Map.of("<step>", "decode"); }
    }

    public static void main(String[] arguments) throws Exception {
        HttpServer server =
                HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", exchange -> {
            System.out.print(new String(exchange.getRequestBody().readAllBytes()));
            exchange.sendResponseHeaders(202, -1);
            exchange.close();
        });
        server.start();
        MetricConfig config = new MetricConfig();
        config.setProperty("hostUrl", "http://127.0.0.1:" + server.getAddress().getPort());
        config.setProperty("deleteOnShutdown", "false");
        PrometheusPushGatewayReporter reporter =
                new PrometheusPushGatewayReporterFactory().createMetricReporter(config);
        SimpleCounter counter = new SimpleCounter();
        counter.inc(3);
        reporter.notifyOfAddedMetric(counter, "records", new Group());
        reporter.report();
        server.stop(0);
    }
}
JAVA
java -cp "$flink/plugins/metrics-prometheus/*:$flink/lib/*" "$folder/Report.java" 2> "$folder/errors" > "$folder/out" \
  || { cat "$folder/errors"; exit 1; }
sed 's/^/SEEN /' "$folder/out"
grep -q '^# TYPE flink_example_records gauge$' "$folder/out"
grep -q '^flink_example_records{step="decode",} 3.0$' "$folder/out"
