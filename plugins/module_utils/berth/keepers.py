# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images of services that keep data, and of those that look at it: which they are, where they keep it, and at which ports they answer. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .dockerfiles import base_image
from .images import ENGINES, basename
from .serving import serves

# The last component of an image's name, to the folder in which it keeps data; empty where that depends on how it is run.
KEEPERS = {
    "mysql": "/var/lib/mysql",
    "mariadb": "/var/lib/mysql",
    "percona": "/var/lib/mysql",
    "percona-server": "/var/lib/mysql",
    "mssql-server": "/var/opt/mssql",
    "azure-sql-edge": "/var/opt/mssql",
    "cockroach": "",
    "mongo": "/data/db",
    "mongodb": "/data/db",
    "mongodb-community-server": "/data/db",
    "percona-server-mongodb": "/data/db",
    "couchdb": "/opt/couchdb/data",
    "couchbase": "/opt/couchbase/var",
    "cassandra": "/var/lib/cassandra",
    "scylla": "/var/lib/scylla",
    "neo4j": "/data",
    "arangodb": "/var/lib/arangodb3",
    "rethinkdb": "/data",
    "surrealdb": "",
    "dynamodb-local": "",
    "clickhouse": "/var/lib/clickhouse",
    "clickhouse-server": "/var/lib/clickhouse",
    "influxdb": "",
    "prometheus": "/prometheus",
    "victoria-metrics": "",
    "loki": "/loki",
    "grafana": "/var/lib/grafana",
    "uptime-kuma": "/app/data",
    "elasticsearch": "/usr/share/elasticsearch/data",
    "opensearch": "/usr/share/opensearch/data",
    "solr": "/var/solr",
    "meilisearch": "/meili_data",
    "typesense": "",
    "qdrant": "/qdrant/storage",
    "weaviate": "/var/lib/weaviate",
    "milvus": "/var/lib/milvus",
    "chroma": "",
    "rabbitmq": "/var/lib/rabbitmq",
    "activemq": "",
    "activemq-classic": "",
    "activemq-artemis": "",
    "eclipse-mosquitto": "/mosquitto/data",
    "emqx": "",
    "nats": "",
    "kafka": "",
    "cp-kafka": "/var/lib/kafka/data",
    "cp-zookeeper": "",
    "zookeeper": "",
    "redpanda": "/var/lib/redpanda/data",
    "minio": "",
    "etcd": "",
    "consul": "/consul/data",
    "vault": "/vault/file",
    "redis": "/data",
    "valkey": "/data",
}
PORTS = {
    **dict.fromkeys(("mysql", "mariadb", "percona", "percona-server"), frozenset({3306})),
    **dict.fromkeys(("mongo", "mongodb", "mongodb-community-server", "percona-server-mongodb"), frozenset({27017})),
    **dict.fromkeys(("redis", "valkey"), frozenset({6379})),
    **dict.fromkeys([name for name, engine in ENGINES.items() if engine == "postgres"], frozenset({5432})),
    "mssql-server": frozenset({1433}),
    "rabbitmq": frozenset({5672}),
    "elasticsearch": frozenset({9200}),
    "opensearch": frozenset({9200}),
    "nats": frozenset({4222}),
    "kafka": frozenset({9092}),
    "minio": frozenset({9000}),
    "meilisearch": frozenset({7700}),
    "clickhouse-server": frozenset({8123, 9000}),
    "influxdb": frozenset({8086}),
    "couchdb": frozenset({5984}),
    "neo4j": frozenset({7474, 7687}),
    "qdrant": frozenset({6333, 6334}),
}


# Of those that keep data, whom a browser may speak to.
_SPEAK_HTTP = frozenset(
    """couchdb couchbase neo4j arangodb rethinkdb surrealdb dynamodb-local clickhouse clickhouse-server influxdb prometheus
victoria-metrics loki grafana uptime-kuma elasticsearch opensearch solr meilisearch typesense qdrant weaviate milvus chroma minio consul
vault""".split()
)
# What developers look at the rest of the app with.
_TOOLS = frozenset(
    """adminer phpmyadmin pgadmin4 pgweb mongo-express redis-commander redisinsight phpredisadmin kibana cadvisor mailhog mailpit maildev
mailcatcher inbucket swagger-ui portainer portainer-ce dozzle flower kafka-ui opensearch-dashboards alertmanager node-exporter zipkin
cloudbeaver sqlpad jaeger all-in-one opentelemetry-collector opentelemetry-collector-contrib smtp4dev bull-board pghero promtail localstack azurite
stripe-mock watchtower postgres-exporter redis_exporter blackbox-exporter""".split()
)


# The same, of the app's own image.
_TOOL_COMMANDS = re.compile(
    r"\b(?:prisma studio|drizzle-kit studio|celery\b.*\bflower|start-?flower|storybook|jupyter[ -](?:lab|notebook))\b"
)


def keeper(service: Mapping[str, Any], image: str) -> str:
    """Which of the images that keep data a service runs as the server that it is, or the empty string."""
    runs = (base_image(service["build"]) if service.get("build") else None) or image
    # The one whose last component says nothing.
    what = "mssql-server" if "mssql/server" in runs else basename(runs)
    return what if what in {*KEEPERS, *ENGINES} and serves(service, what) else ""


def is_no_door(service: Mapping[str, Any], image: str) -> bool:
    """Whether no visitor can speak to a service, whatever it publishes: a database that has a protocol of its own."""
    what = keeper(service, image)
    return bool(what) and what not in _SPEAK_HTTP


def is_tool(service: Mapping[str, Any], image: str) -> bool:
    """Whether a service is there for developers, or keeps data for others, so that visitors go to another one where there is one."""
    words = " ".join(str(word) for key in ("entrypoint", "command") for word in service.get(key) or [])
    return bool(keeper(service, image)) or basename(image) in _TOOLS or _TOOL_COMMANDS.search(words) is not None
