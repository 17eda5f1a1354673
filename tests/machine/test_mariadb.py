"""A MariaDB and a RabbitMQ as accessories: what was acknowledged before a backup began is in it, and they begin on it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal import server, stack
from tests.machine.conftest import Cloud, at_length, eventually, ip_range
from tests.machine.ledger import COPIES, Kept

pytestmark = [pytest.mark.docker, at_length("three minutes")]
NAME = "mariadb-test"
PASSWORD = "it's a \\ password-5Qx"
PROJECT = {
    "services": {
        "web": {"image": "nginx:1.28", "ports": ["80:80"], "depends_on": {"db": {"condition": "service_healthy"}}},
        "db": {
            "image": "mysql:8",
            # Of which MariaDB knows the first alone.
            "command": ["--max-connections=40", "--default-authentication-plugin=mysql_native_password"],
            "environment": {"MYSQL_ROOT_PASSWORD": PASSWORD, "MYSQL_DATABASE": "shop", "MYSQL_USER": "shop", "MYSQL_PASSWORD": PASSWORD},
            "healthcheck": {"test": ["CMD", "mysqladmin", "ping", "-h", "127.0.0.1", "--silent"], "interval": "2s"},
            # The machine's own, as production files often have it.
            "volumes": ["/var/lib/shop-mysql:/var/lib/mysql"],
        },
        "queue": {
            "image": "rabbitmq:4",
            "environment": {"RABBITMQ_DEFAULT_USER": "shop", "RABBITMQ_DEFAULT_PASS": PASSWORD},
            "healthcheck": {"test": ["CMD", "rabbitmq-diagnostics", "-q", "ping"], "interval": "5s", "start_period": "60s"},
        },
    }
}
DROPLETS = [{"name": "app-1", "groups": ["app", "accessories"], "size": "s-2vcpu-2gb"}]
# Writes one number after another, and notes those that were acknowledged, each on a line of its own.
WRITES = r"""
rm -f /tmp/end; n=0
while [ ! -e /tmp/end ]; do n=$((n + 1)); echo "insert into written values ($n); select $n;"; done | CLIENT --unbuffered > /tmp/acknowledged 2>&1
"""


class Shop(Kept):
    """The project on one droplet."""

    def run(self, name: str, *arguments: str, succeeds: bool = True) -> str:
        """What a playbook says, on one line."""
        given = {"digitalocean_droplets": DROPLETS, "digitalocean_ip_range": ip_range(17)}
        done = self.playbook(name, "-e", json.dumps(given), *arguments)
        assert (done.returncode == 0) == succeeds, done.stdout[-4000:] + done.stderr[-2000:]
        return " ".join((done.stdout + done.stderr).split())

    def client(self, kind: str = "accessories") -> str:
        """The words by which the app's user speaks to MariaDB on the droplet."""
        return f'docker exec -i {NAME}-{kind}-db-1 sh -c \'MYSQL_PWD="$MYSQL_PASSWORD" exec mysql --user=shop --skip-column-names "$@" shop\' sh'

    def sql(self, query: str, kind: str = "accessories") -> list[str]:
        """What MariaDB answers."""
        return self.on("app-1", f'echo "{query}" | {self.client(kind)}').split()

    def users(self, kind: str = "accessories") -> str:
        """Who may use the queue."""
        return self.on("app-1", f"docker exec -u rabbitmq {NAME}-{kind}-queue-1 rabbitmqctl -q list_users")


@pytest.fixture(scope="module")
def shop(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    project: Path = tmp_path_factory.mktemp("shop") / "shop"
    project.mkdir()
    (project / "compose.yaml").write_text(json.dumps(PROJECT).replace("$", "$$"))
    server.digitalocean(["nginx:1.28", "mysql:8", "rabbitmq:4"])
    found = Shop(NAME, "", cloud.environment, "", "digitalocean", project=project)
    found.run("site.yml")
    yield found
    found.run("destroy.yml", "-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")


def test_all_that_was_acknowledged_is_in_a_backup_that_is_taken_while_it_writes(shop: Shop):
    shop.sql("create table written (number int primary key)")
    writes = WRITES.replace("CLIENT", shop.client())
    shop.on("app-1", f"cat > /tmp/writes <<'END'\n{writes}\nEND\nnohup bash /tmp/writes > /dev/null 2>&1 &")
    shop.on("app-1", f"docker exec -u rabbitmq {NAME}-accessories-queue-1 rabbitmqctl -q add_user berth secret")
    eventually(lambda: len(shop.on("app-1", "cat /tmp/acknowledged").split()) > 500)
    for _each in range(3):
        acknowledged = int(shop.on("app-1", "tail -n 1 /tmp/acknowledged"))
        backup = shop.keeper("backup")
        shop.keeper("restore latest")
        (count, least, most) = map(int, shop.sql("select count(*), min(number), max(number) from written", "restored"))
        print(f"\n{acknowledged} were acknowledged before the backup, {most} are in it; it stood still for {backup['stood']} s")
        assert most >= acknowledged
        assert (count, least) == (most, 1)
        assert "OK" in shop.on("app-1", f"docker exec {NAME}-restored-db-1 sh -c 'mysqlcheck -p\"$MYSQL_ROOT_PASSWORD\" shop'")
        assert "berth" in shop.users("restored")
        time.sleep(1)
    shop.on("app-1", "touch /tmp/end")
    assert backup["tags"][-2:] == ["volume=/var/lib/shop-mysql", f"volume={NAME}_data-queue"]


def test_a_drill_begins_both(shop: Shop):
    said = shop.run("drill.yml")
    assert f"{NAME}-drill-db-1 runs on them" in said
    assert f"{NAME}-drill-queue-1 runs on them" in said


def test_both_take_the_place_of_what_is_there_and_come_back_on_a_new_droplet(shop: Shop):
    shop.run("backup.yml")
    before = shop.sql("select count(*) from written")
    shop.sql("delete from written")
    shop.run("restore.yml", "-e", "restore_store=app", "-e", "restore_to=latest", "-e", f"restore={NAME}")
    assert eventually(lambda: shop.sql("select count(*) from written")) == before
    assert shop.on("app-1", f"ls {COPIES}/app.before-*").split() == ["%var%lib%shop-mysql", f"{NAME}_data-queue"]
    stack.account().droplets.destroy(shop.droplet("app-1")["id"])
    assert "holds no data" in shop.run("site.yml", succeeds=False)
    shop.run("restore.yml", "-e", "restore_store=app", "-e", "restore_to=latest")
    shop.run("site.yml")
    assert shop.sql("select count(*) from written") == before
    assert "berth" in shop.users()
