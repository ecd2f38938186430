import static io.trino.testing.TestingSession.testSessionBuilder;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.trino.filesystem.TrinoFileSystemFactory;
import io.trino.filesystem.local.LocalFileSystemFactory;
import io.trino.plugin.hive.HiveType;
import io.trino.plugin.hive.InternalHiveConnectorFactory;
import io.trino.plugin.hive.NodeVersion;
import io.trino.plugin.hive.metastore.Column;
import io.trino.plugin.hive.metastore.Database;
import io.trino.plugin.hive.metastore.HiveMetastore;
import io.trino.plugin.hive.metastore.PrincipalPrivileges;
import io.trino.plugin.hive.metastore.StorageFormat;
import io.trino.plugin.hive.metastore.Table;
import io.trino.plugin.hive.metastore.file.FileHiveMetastore;
import io.trino.plugin.hive.metastore.file.FileHiveMetastoreConfig;
import io.trino.spi.connector.Connector;
import io.trino.spi.connector.ConnectorContext;
import io.trino.spi.connector.ConnectorFactory;
import io.trino.spi.type.TimeZoneKey;
import io.trino.testing.LocalQueryRunner;
import io.trino.testing.MaterializedRow;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Answers queries over Glue's tables with Trino and its Hive connector.
 *
 * <p>Arguments: the folder that stands for the bucket, and a JSON file with the tables as Glue has
 * them and the queries. Prints one line of JSON for each query: its rows, or its error.
 */
public class Queries {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String DATABASE = "streaming_etl";

    public static void main(String[] arguments) throws Exception {
        JsonNode given = JSON.readTree(Path.of(arguments[1]).toFile());
        var files = new LocalFileSystemFactory(Path.of(arguments[0]));
        HiveMetastore metastore = metastore(files, given.get("tables"));
        var session =
                testSessionBuilder()
                        .setCatalog("hive")
                        .setSchema(DATABASE)
                        .setTimeZoneKey(TimeZoneKey.UTC_KEY)
                        .build();
        try (LocalQueryRunner trino = LocalQueryRunner.create(session)) {
            trino.createCatalog("hive", connector(files, metastore), Map.of(
                    "hive.partition-projection-enabled", "true",
                    // As Athena's documentation has it: such a partition has no rows.
                    "hive.ignore-absent-partitions", "true"));
            for (JsonNode sql : given.get("queries")) {
                System.out.println("ANSWER " + JSON.writeValueAsString(answer(trino, sql.asText())));
            }
        }
        System.exit(0);
    }

    private static Map<String, Object> answer(LocalQueryRunner trino, String sql) {
        try {
            return Map.of("rows", plain(trino.execute(sql).getMaterializedRows()));
        } catch (RuntimeException error) {
            return Map.of("error", String.valueOf(error.getMessage()));
        }
    }

    private static HiveMetastore metastore(TrinoFileSystemFactory files, JsonNode tables) {
        var config =
                new FileHiveMetastoreConfig()
                        .setCatalogDirectory("local:///_catalog")
                        .setDisableLocationChecks(true);
        var metastore = new FileHiveMetastore(new NodeVersion("test"), files, false, config);
        metastore.createDatabase(
                Database.builder()
                        .setDatabaseName(DATABASE)
                        .setOwnerName(Optional.empty())
                        .setOwnerType(Optional.empty())
                        .build());
        for (JsonNode table : tables) {
            metastore.createTable(table(table), PrincipalPrivileges.NO_PRIVILEGES);
        }
        return metastore;
    }

    private static Table table(JsonNode table) {
        JsonNode storage = table.get("StorageDescriptor");
        Map<String, String> parameters = new HashMap<>();
        table.get("Parameters")
                .fields()
                .forEachRemaining(each -> parameters.put(each.getKey(), each.getValue().asText()));
        var made =
                Table.builder()
                        .setDatabaseName(DATABASE)
                        .setTableName(table.get("Name").asText())
                        .setOwner(Optional.of("owner"))
                        .setTableType(table.get("TableType").asText())
                        .setDataColumns(columns(storage.get("Columns")))
                        .setPartitionColumns(columns(table.get("PartitionKeys")))
                        .setParameters(parameters);
        made.getStorageBuilder()
                .setLocation(storage.get("Location").asText())
                .setStorageFormat(
                        StorageFormat.create(
                                storage.get("SerdeInfo").get("SerializationLibrary").asText(),
                                storage.get("InputFormat").asText(),
                                storage.get("OutputFormat").asText()));
        return made.build();
    }

    private static List<Column> columns(JsonNode listed) {
        List<Column> found = new ArrayList<>();
        for (JsonNode each : listed) {
            HiveType type = HiveType.valueOf(each.get("Type").asText());
            found.add(new Column(each.get("Name").asText(), type, Optional.empty(), Map.of()));
        }
        return found;
    }

    private static ConnectorFactory connector(
            TrinoFileSystemFactory files, HiveMetastore metastore) {
        return new ConnectorFactory() {
            @Override
            public String getName() {
                return "hive";
            }

            @Override
            public Connector create(
                    String catalog, Map<String, String> config, ConnectorContext context) {
                return InternalHiveConnectorFactory.createConnector(
                        catalog,
                        config,
                        context,
                        binder -> {},
                        Optional.of(metastore),
                        Optional.of(files),
                        Optional.empty());
            }
        };
    }

    /** Values as JSON has them; texts are what Trino prints. */
    private static Object plain(Object value) {
        if (value == null || value instanceof Number || value instanceof Boolean) {
            return value;
        }
        if (value instanceof MaterializedRow row) {
            return plain(row.getFields());
        }
        if (value instanceof List<?> list) {
            List<Object> found = new ArrayList<>();
            list.forEach(each -> found.add(plain(each)));
            return found;
        }
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> found = new TreeMap<>();
            map.forEach((key, each) -> found.put(key.toString(), plain(each)));
            return found;
        }
        return value.toString();
    }
}
