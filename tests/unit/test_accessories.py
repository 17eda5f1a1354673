"""Which services keep data over all releases, and what a release has of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from berth import accessories, accessory_model, dockerrun, machine_docker, release_model
from berth.accessories_kept import Accessories, merged
from berth.brought_files import KEY as FILES
from berth.machine_docker import Docker
from berth.problems import BerthError
from berth.release_model import ACCESSORIES
from berth.selection import Options, select

from tests.unit import docker_api
from tests.unit.rendering import project, write
from tests.unit.test_release_files import put, rendered


def kept(services: dict[str, Any], named: tuple[str, ...] = (), door: str | None = None) -> dict[str, str]:
    return accessories.kept(services, {name: str(each.get("image") or f"shop/{name}:1") for name, each in services.items()}, named, door)


@pytest.mark.parametrize(
    ("image", "what"),
    [
        ("mysql:8", "mysql"),
        ("docker.io/library/mariadb", "mariadb"),
        ("bitnami/mongodb:7.0", "mongodb"),
        ("rabbitmq:3-management", "rabbitmq"),
        ("docker.elastic.co/elasticsearch/elasticsearch:8.15.0", "elasticsearch"),
        ("mcr.microsoft.com/mssql/server:2022-latest", "mssql-server"),
        ("postgres:17", "postgres"),
        ("valkey/valkey:8", "valkey"),
    ],
)
def test_what_keeps_data_is_known_by_its_image(image: str, what: str):
    assert kept({"store": {"image": image}, "web": {"image": "nginx:1.28"}}) == {"store": what}


@pytest.mark.parametrize(
    "command",
    [
        ["--default-authentication-plugin=mysql_native_password"],
        ["mysqld", "--max-connections=500"],
        ["bash", "-c", "exec docker-entrypoint.sh mysqld"],
        ["sh", "-c", "sleep 3 && LANG=C gosu mysql mysqld"],
        ["/usr/sbin/mysqld"],
    ],
)
def test_a_command_that_runs_the_server_makes_no_difference(command: list[str]):
    assert kept({"db": {"image": "mysql:8", "command": command}}) == {"db": "mysql"}


@pytest.mark.parametrize(
    "command",
    [
        ["sh", "-c", "while sleep 86400; do mysqldump -h db shop > /backup/shop.sql; done"],
        ["mysql", "-h", "db", "-e", "select 1"],
        ["sh", "-c", "trap exit TERM; sleep infinity & wait"],
        ["sleep", "infinity"],
    ],
)
def test_a_client_of_the_same_image_keeps_nothing(command: list[str]):
    assert kept({"backup": {"image": "mysql:8", "command": command}}) == {}


def test_a_store_that_is_built_is_known_by_what_it_is_from(tmp_path: Path):
    (tmp_path / "Dockerfile").write_text("FROM mysql:5.7\nCOPY my.cnf /etc/mysql/conf.d/\n")
    assert kept({"db": {"build": {"context": str(tmp_path)}}}) == {"db": "mysql"}


def test_others_are_told_by_name():
    services = {"web": {"image": "nginx"}, "sqlite": {"image": "shop/ledger:1", "volumes": []}}
    assert kept(services, ("sqlite",)) == {"sqlite": "ledger"}
    with pytest.raises(BerthError, match="accessories: 'sqlit' is no service of the project"):
        kept(services, ("sqlit",))


@pytest.mark.parametrize(
    ("services", "reason"),
    [
        ({"db": {"image": "minio/minio", "restart": "no"}}, "runs to an end"),
        ({"db": {"image": "minio/minio"}, "web": {"network_mode": "service:db"}}, "shares what another container has"),
        ({"db": {"image": "minio/minio", "volumes_from": ["web:ro"]}, "web": {}}, "shares what another container has"),
    ],
)
def test_what_is_a_part_of_the_release_is_none(services: dict[str, Any], reason: str):
    assert kept(services) == {}
    with pytest.raises(BerthError, match=reason):
        kept(services, ("db",))


def test_the_front_door_is_none():
    assert kept({"db": {"image": "couchdb:3"}}, door="db") == {}


SHOP = """
services:
  web:
    image: nginx:1.28
    ports: ["80:80"]
    links: ["db:database"]
    depends_on: {{db: {{condition: service_healthy}}, queue: {{condition: service_started}}}}
  db:
    image: {image}
    container_name: shop-db
    restart: on-failure
    environment: {{MYSQL_ROOT_PASSWORD: a$$b}}
    ports: ["3306:3306"]
    volumes: {volumes}
    healthcheck: {{test: [CMD, mysqladmin, ping]}}
  queue:
    image: rabbitmq:3
    depends_on: [db]
"""


def shop(folder: Path, image: str = "mysql:8", volumes: str = "[]", **given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    model, told = rendered(folder, SHOP.format(image=image, volumes=volumes), **given)
    return model, model[ACCESSORIES] | {"told": told}


@pytest.mark.compose
def test_they_are_no_part_of_the_release_which_finds_them_by_all_their_names(tmp_path):
    model, theirs = shop(tmp_path)
    assert list(model["services"]) == ["web"]
    assert model["services"]["web"].items() >= {"depends_on": {}, "links": [], "external_links": ["db:database"]}.items()
    assert theirs["joins"] == {"db": {"default": ["db", "shop-db"]}, "queue": {"default": ["queue"]}}
    assert theirs["told"]["accessories"] == ["db", "queue"]
    assert (
        "db (mysql) and queue (rabbitmq) keep data, so they run on over all releases; their volumes are backed up where backup_bucket is set"
        in theirs["told"]["warnings"]
    )


@pytest.mark.compose
def test_they_come_back_after_a_restart_of_the_machine_and_have_time_to_stop(tmp_path):
    _model, theirs = shop(tmp_path)
    db = theirs["services"]["db"]
    assert (db["restart"], db["stop_grace_period"], db["hostname"]) == ("unless-stopped", "1m0s", "db")
    assert db["environment"] == {"MYSQL_ROOT_PASSWORD": "a$$b"}
    assert "depends_on" not in db
    assert list(theirs["services"]["queue"]["depends_on"]) == ["db"]
    assert "ports" not in db


@pytest.mark.compose
@pytest.mark.parametrize(
    ("image", "volumes", "mounted"),
    [
        ("mysql:8", "[]", {"data-db": "/var/lib/mysql"}),
        ("mysql:8", "['kept:/var/lib/mysql']", {"kept": "/var/lib/mysql"}),
        ("mysql:8", "['kept:/var/lib']", {"kept": "/var/lib"}),
        ("bitnami/mongodb:7.0", "[]", {"data-db": "/bitnami/mongodb"}),
        ("couchdb:3", "[/opt/couchdb/data]", {"data-db": "/opt/couchdb/data"}),
        ("minio/minio", "[]\n    command: server /files", {"data-db": "/files"}),
        ("typesense/typesense:27.1", "[]\n    command: ['--data-dir', /data, --api-key=trust]", {"data-db": "/data"}),
    ],
)
def test_data_is_never_in_a_container_alone(tmp_path, image: str, volumes: str, mounted: dict[str, str]):
    text = SHOP.format(image=image, volumes=volumes) + ("volumes: {kept: {}}\n" if "kept" in volumes else "")
    model, _told = rendered(tmp_path, text)
    theirs = model[ACCESSORIES]
    found = {each["source"]: each["target"] for each in theirs["services"]["db"].get("volumes") or []}
    assert found == mounted
    assert {name: f"shop_{name}" for name in mounted}.items() <= {name: how["name"] for name, how in theirs["volumes"].items()}.items()
    assert "volumes" not in model


@pytest.mark.compose
@pytest.mark.parametrize(("image", "folder"), [("postgres:17", "/var/lib/postgresql/data"), ("postgres:18", "/var/lib/postgresql")])
def test_a_postgres_that_stays_a_container_keeps_its_data_where_its_version_does(tmp_path, image: str, folder: str):
    model, _told = rendered(tmp_path, SHOP.format(image=image, volumes="[]"), keep=["db"])
    assert model[ACCESSORIES]["services"]["db"]["volumes"] == [{"type": "volume", "source": "data-db", "target": folder}]


@pytest.mark.compose
def test_a_variable_that_is_added_for_all_is_theirs_only_where_they_name_it(tmp_path):
    _model, theirs = shop(tmp_path, environment={"GREETING": "hello", "MYSQL_ROOT_PASSWORD": "other", "db": {"MYSQL_DATABASE": "shop"}})
    assert theirs["services"]["db"]["environment"] == {"MYSQL_DATABASE": "shop", "MYSQL_ROOT_PASSWORD": "other"}
    assert "environment" not in theirs["services"]["queue"]


@pytest.mark.compose
def test_one_whose_data_nothing_keeps_is_told_of(tmp_path):
    _model, told = rendered(tmp_path, SHOP.format(image="nats:2", volumes="[]"))
    assert any(each.startswith("db: what it keeps is in its container alone, and ends when it begins anew;") for each in told["warnings"])


@pytest.mark.compose
@pytest.mark.parametrize(("machines", "told"), [(1, False), (2, True)])
def test_volumes_of_which_each_machine_has_its_own_are_told_of(tmp_path, machines: int, told: bool):
    text = """
services:
  web: {image: "nginx:1.28", ports: ["80:80"], volumes: ["media:/media", "assets:/assets:ro"]}
  assets: {image: shop/assets, command: cp -r /app/. /assets/, volumes: ["assets:/assets"]}
volumes: {media: {}, assets: {}}
"""
    warnings = rendered(tmp_path, text, machines=machines)[1]["warnings"]
    assert any(each.startswith("volumes: each of the 2 app machines has a media of its own,") for each in warnings) == told


@pytest.mark.compose
def test_another_content_of_a_mounted_file_begins_them_anew(tmp_path):
    put(tmp_path, "my.cnf", "[mysqld]\n")
    put(tmp_path, "nginx.conf", "server {}\n")
    text = SHOP.format(image="mysql:8", volumes="['./my.cnf:/etc/mysql/conf.d/my.cnf:ro']").replace(
        "links:", "volumes: ['./nginx.conf:/etc/nginx/nginx.conf:ro']\n    links:"
    )
    model, _told = rendered(tmp_path, text)
    assert list(model[FILES]) == ["project/nginx.conf"]
    assert list(model[ACCESSORIES][FILES]) == ["project/my.cnf"]
    put(tmp_path, "my.cnf", "[mysqld]\nmax_connections=500\n")
    other, _told = rendered(tmp_path, text)
    labels = [each[ACCESSORIES]["services"]["db"]["labels"]["org.berth.files"] for each in (model, other)]
    assert labels[0] != labels[1]
    assert model["name"] != other["name"]


@pytest.mark.compose
def test_other_machines_find_them_at_the_address_of_the_one_that_keeps_them(tmp_path):
    model, theirs = shop(tmp_path, accessories_address="10.120.0.4")
    opened = {name: [(each["host_ip"], each["target"]) for each in service["ports"]] for name, service in theirs["services"].items()}
    assert opened == {"db": [("10.120.0.4", 3306)], "queue": [("10.120.0.4", 5672)]}
    led = release_model.led(model, theirs)
    assert led["services"]["web"]["extra_hosts"] == [f"{name}:10.120.0.4" for name in ("database", "db", "queue", "shop-db")]


@pytest.mark.compose
def test_of_two_at_one_port_other_machines_could_reach_one(tmp_path):
    with pytest.raises(BerthError, match="services db and old keep data, and answer at port 3306"):
        rendered(tmp_path, SHOP.format(image="mysql:8", volumes="[]") + "  old: {image: 'mysql:5.7'}\n", accessories_address="10.120.0.4")
    with pytest.raises(BerthError, match=r"services.db keeps data, .*expose"):
        rendered(tmp_path, SHOP.format(image="emqx:5", volumes="[]").replace('ports: ["3306:3306"]', ""), accessories_address="10.120.0.4")
    rendered(tmp_path, SHOP.format(image="mysql:8", volumes="[]") + "  old: {image: 'mysql:5.7'}\n")


OLD = {"services": {"db": {"image": "mysql:8.0"}, "queue": {"image": "rabbitmq:3"}}, "volumes": {"data": {}}}
NEW = {"services": {"db": {"image": "mysql:8.4"}}, "volumes": {"data": {}}, "joins": {}}


def test_what_the_release_that_serves_still_has_stays_until_another_serves():
    assert merged(OLD, NEW, ["db", "queue"], back=False)["services"] == {"db": {"image": "mysql:8.4"}, "queue": {"image": "rabbitmq:3"}}
    assert merged(OLD, NEW, ["db"], back=False) == {"services": {"db": {"image": "mysql:8.4"}}, "volumes": {"data": {}}}
    assert merged(OLD, {}, [], back=False) == {}


def test_a_rollback_leaves_them_as_they_are_and_brings_back_what_is_missing():
    before = {"services": {"db": {"image": "mysql:8.4"}}, "volumes": {"data": {}}}
    assert merged(before, OLD, [], back=True)["services"] == {"db": {"image": "mysql:8.4"}, "queue": {"image": "rabbitmq:3"}}


class Engine:
    """A Docker of a machine on which one accessory runs, or, once it is begun anew with what is ``bad``, does not."""

    def __init__(self, bad: str = "") -> None:
        self.bad, self.image, self.said = bad, "mysql:8.0", list[str]()

    def __call__(self, words: list[str], **_more: Any) -> tuple[int, str, str]:
        self.said.append(" ".join(words[1:]))
        if "up" in words:
            self.image = json.loads(Path(words[words.index("--file") + 1]).read_text())["services"]["db"]["image"]
        if words[1] == "inspect":
            return 0, f"sha256:of-{self.image.replace('again-', '')} {self.image}\n", ""
        if words[1] == "image":
            return 0, f"sha256:of-{words[-1].replace('again-', '')}\n", ""
        return 0, "mysqld: unknown variable" if "logs" in words else "", ""

    def ask(self, path: str) -> Any:
        """Its API."""
        assert docker_api.labels(path) == ["org.berth.accessories=shop"]
        state, status = ("exited", "Exited (1) 1 second ago") if self.image == self.bad else ("running", "Up 2 minutes")
        return docker_api.listed({"shop-accessories-db-1": {"state": state, "status": status, "service": "db"}})

    @property
    def begun(self) -> int:
        return sum(" up " in each for each in self.said)


def bring(engine: Engine, folder: Path, image: str, seconds: int = 1) -> Accessories:
    found = Accessories("shop", folder, Docker(engine))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine_docker, "ask", engine.ask)
        found.bring({"services": {"db": {"image": image}}}, [], [], back=False, seconds=seconds)
    return found


def test_they_are_begun_anew_only_where_they_change(tmp_path):
    engine = Engine()
    for image, begun in (("mysql:8.0", 1), ("mysql:8.0", 1), ("again-mysql:8.0", 1), ("mysql:8.4", 2)):
        found = bring(engine, tmp_path, image)
        assert engine.begun == begun, image
    assert found.model()["services"]["db"]["image"] == engine.image == "mysql:8.4"


def test_published_ports_lead_by_a_network_that_stays_and_comes_before_those_of_releases(tmp_path):
    (network,) = bring(Engine(), tmp_path, "mysql:8.0").model()["networks"].values()
    assert sorted([network["name"], "0shop-r1_default", "01_a", "berth-edge"])[0] == network["name"] == "0-berth-accessories-shop"


def test_one_that_does_not_come_up_is_as_it_was_before(tmp_path):
    engine = Engine(bad="mysql:9")
    bring(engine, tmp_path, "mysql:8.0")
    with pytest.raises(BerthError, match=r"(?s)does not come up: db ended \(Exited \(1\) 1 second ago\).*unknown variable"):
        bring(engine, tmp_path, "mysql:9")
    assert engine.image == "mysql:8.0"
    assert json.loads((tmp_path / "compose.json").read_text())["services"]["db"]["image"] == "mysql:8.0"


def test_one_that_ends_again_and_again_is_not_taken_for_up_between_two_starts(tmp_path):
    class Looping(Engine):
        looks = 0

        def ask(self, path: str) -> Any:
            if docker_api.container(path):
                return {"RestartCount": self.looks}
            found = super().ask(path)
            if self.image == "mysql:9":
                self.looks += 1
                ended, up = ("restarting", "Restarting (1) 1 second ago"), ("running", f"Up {self.looks % 3} seconds")
                found[0]["State"], found[0]["Status"] = ended if self.looks % 3 == 0 else up
            return found

    engine = Looping()
    bring(engine, tmp_path, "mysql:8.0")
    with pytest.raises(BerthError, match=r"(?s)does not come up: db Restarting \(1\) 1 second ago.*unknown variable"):
        bring(engine, tmp_path, "mysql:9", seconds=10)
    assert engine.image == "mysql:8.0"


def test_a_run_that_was_killed_before_they_began_anew_is_made_up_for(tmp_path):
    engine = Engine()
    bring(engine, tmp_path, "mysql:8.0")
    (tmp_path / "compose.json").write_text((tmp_path / "compose.json").read_text().replace("8.0", "8.4"))
    bring(engine, tmp_path, "mysql:8.4")
    assert (engine.begun, engine.image) == (2, "mysql:8.4")


@pytest.mark.parametrize(("said", "fails"), [("network shop-r1_default not found", False), ("no space left on device", True)])
def test_a_release_that_has_ended_meanwhile_is_left_alone(tmp_path, monkeypatch: pytest.MonkeyPatch, said: str, fails: bool):
    class Refusing(Engine):
        def __call__(self, words: list[str], **more: Any) -> tuple[int, str, str]:
            if words[1] == "network":
                return 1, "", f"Error response from daemon: {said}"
            return (0, "{}", "") if "{{json .NetworkSettings.Networks}}" in words else super().__call__(words, **more)

    engine = Refusing()
    found = bring(engine, tmp_path, "mysql:8.0")
    monkeypatch.setattr(machine_docker, "ask", engine.ask)
    joining = ("shop-r1", {"db": {"default": ["db"]}}, dict[str, Any]())
    if fails:
        with pytest.raises(BerthError, match=r"cannot join shop-r1_default: .*no space left"):
            found.join(*joining)
    else:
        found.join(*joining)


def test_nothing_is_asked_where_there_are_none(tmp_path):
    engine = Engine()
    found = Accessories("shop", tmp_path, Docker(engine))
    found.bring({}, [], [], back=False, seconds=1)
    assert (found.problem(), found.found(), engine.said) == ("", [], [])


def test_a_part_of_nothing_is_the_model_itself():
    model = {"services": {"web": {}}}
    assert accessory_model.part("shop", model, [], {}) == model


def on_aws(folder: Path, text: str) -> list[str]:
    write(folder, text)
    found = project(folder)
    selection = select(found, Options())
    dockerrun.version_2(found, selection, Options())
    return selection.notes.warnings


@pytest.mark.compose
def test_on_aws_it_is_said_what_becomes_of_data_in_a_container(tmp_path):
    text = "services:\n  web: {image: nginx:1.28, ports: ['80:80']}\n  db: {image: 'mysql:8'}\n"
    lost = "db (mysql) keeps data in its container alone, where it ends with the next deployment; let a managed service keep it: leave db out (exclude), "
    assert lost + "and lead the app there" in on_aws(tmp_path, text)
    warnings = on_aws(tmp_path, text.replace("mysql:8'", "mysql:8', volumes: ['data:/var/lib/mysql']") + "volumes: {data: {}}\n")
    assert any(each.startswith("db (mysql) keeps data on each instance, where it ends with the instance;") for each in warnings)


@pytest.mark.compose
@pytest.mark.parametrize(
    ("value", "told"), [("mongodb+srv://shop:word@cluster.example.com/shop", True), ("https://example.com/a?b=c", False)]
)
def test_on_aws_a_password_in_a_url_is_told_of_whatever_the_variable_is_called(tmp_path, value: str, told: bool):
    warnings = on_aws(tmp_path, f"services: {{web: {{image: 'nginx:1.28', ports: ['80:80'], environment: {{CLUSTER: '{value}'}}}}}}\n")
    assert any("CLUSTER would be readable in the file" in each for each in warnings) == told
