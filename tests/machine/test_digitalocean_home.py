"""`make demo TARGET=digitalocean`: from the Compose file to the front door of two droplets behind a load balancer, and what may happen to them."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from berth.edge_files import ADMIN

from rehearsal import certificates, containers, server, stack
from rehearsal.digitalocean import api, machines, registry
from rehearsal.rules import kill_tree
from tests.machine.conftest import APP, EVERY, ROOT, App, Cloud, at_length, eventually, ip_range
from tests.machine.interrupted import start
from tests.machine.load import Load

pytestmark = pytest.mark.docker
NAME = "fibonacci-test"
RANGE = ("-e", f"digitalocean_ip_range={ip_range(0)}")


# What a release does before it serves, and what tells how often that was; by what is built for the API, under its name, in a database beside
# the API's own.
MIGRATE = """
  migrate:
    image: fibonacci/api
    environment:
      <<: *stores
      PGDATABASE: audit
    restart: "no"
    command:
      - node
      - -e
      - |
        import('./src/stores.js')
          .then((stores) => stores.connectPostgres(console.error).query(
            'create table if not exists migrated (at timestamptz); insert into migrated values (now())'))
          .then(() => process.exit(0), (error) => { console.error(error.message); process.exit(1); });
    depends_on:
      postgres:
        condition: service_healthy

"""


@dataclass
class Droplets(App):
    """The app on the rehearsed DigitalOcean."""

    project: Path = APP

    def playbook(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return playbook(self.environment, name, "-e", f"app_name={self.name}", "-e", f"app_project={self.project}", *arguments)

    def droplet(self, name: str) -> dict[str, Any]:
        found = stack.account().droplets.list(tag_name=f"berth:{self.name}", per_page=100)["droplets"]
        return next(each for each in found if each["name"] == f"{self.name}-{name}")

    def address(self, name: str, kind: str = "public") -> str:
        return next(each["ip_address"] for each in self.droplet(name)["networks"]["v4"] if each["type"] == kind)

    def on(self, name: str, command: str) -> str:
        """What a command says on a droplet, whose host key has to be the known one."""
        known = self.environment["BERTH_KNOWN_HOSTS"]
        words = ["ssh", "-i", self.environment["BERTH_SSH_KEY"], "-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}"]
        done = subprocess.run([*words, f"root@{self.address(name)}", command], capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    def put_away(self, *told: str) -> None:
        """Take the stack out of the account, by the playbook at length, and else in a second: others have to find the account empty.

        ``told``: the variables of a run.
        """
        if EVERY:
            done = self.playbook("destroy.yml", *told, "-e", f"destroy={self.name}", "-e", f"destroy_volumes={self.name}")
            assert done.returncode == 0, done.stdout[-4000:]
            return
        there = stack.account()
        for kind in ("droplets", "load_balancers", "firewalls", "volumes", "vpcs"):
            calls = getattr(there, kind)
            for each in calls.list(per_page=100)[kind]:
                if (each["name"] + "-").startswith(f"{self.name}-"):
                    (calls.destroy if kind == "droplets" else calls.delete)(each["id"])


def playbook(environment: dict[str, str], name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["ansible-playbook", "-i", "inventories/digitalocean", f"playbooks/{name}", "-e", f"app_name={NAME}", *RANGE, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def releases_left() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("berth-release-*"))


def changes(output: str) -> dict[str, int]:
    """How much each host changed, as the recap says."""
    return {host: int(count) for host, count in re.findall(r"(?m)^(\S+) +: ok=\d+ +changed=(\d+)", output)}


@pytest.fixture(scope="module")
def account(cloud: Cloud) -> dict[str, str]:
    """A rehearsed DigitalOcean with nothing in it, served by the process that serves AWS to other tests."""
    server.digitalocean()
    return cloud.environment


@pytest.fixture(scope="module")
def app(account: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Droplets:
    """`make demo TARGET=digitalocean`, run to its end."""
    # A folder's name is the app's, and this one is not the demo's.
    project = tmp_path_factory.mktemp("project") / "app"
    shutil.copytree(APP, project)
    text = (project / "compose.yaml").read_text().replace("\nservices:\n", f"\nservices:{MIGRATE}")
    (project / "compose.yaml").write_text(text.replace("\n  api:\n", "\n  api:\n    image: fibonacci/api\n"))
    command = [sys.executable, "-m", "rehearsal", "demo", "--target", "digitalocean", "--app", str(project), "--", *RANGE]
    settings = {**os.environ, "COMPOSE_PROJECT_NAME": NAME}
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    url = done.stdout.strip().splitlines()[-1].removeprefix("URL: ")
    return Droplets(NAME, url, account, done.stdout, "digitalocean", project=project)


def test_check_mode_says_what_would_be_made_where_nothing_is_there_yet(account: dict[str, str]):
    done = playbook(account, "site.yml", "--check", "--diff")
    assert done.returncode == 0, done.stdout[-3000:]
    for line in (f"make VPC {NAME}", f"make droplet {NAME}-data-1, s-2vcpu-4gb", f"make volume {NAME}-data-1-data, 20 GiB"):
        assert line in done.stdout
    assert "data-1-postgres is not there yet" in done.stdout
    assert stack.account().droplets.list()["droplets"] == []
    assert stack.account().vpcs.list()["vpcs"] == []


REFUSED = {
    "a token that is unknown": ({"DIGITALOCEAN_TOKEN": "dop_v1_none"}, (), "check DIGITALOCEAN_TOKEN"),
    "no key": ({"BERTH_SSH_KEY": "/nowhere/key"}, (), "there is no /nowhere/key"),
    "a region that is none": ({}, ("-e", "digitalocean_region=fra9"), "region"),
    "a size that the region lacks": (
        {},
        (
            "-e",
            json.dumps({"digitalocean_region": "blr1", "digitalocean_droplets": [{"name": "a", "groups": ["app"], "size": "g-2vcpu-8gb"}]}),
        ),
        "region blr1 has no size g-2vcpu-8gb",
    ),
    "a group that is none": (
        {},
        ("-e", json.dumps({"digitalocean_droplets": [{"name": "a", "groups": ["postgre"], "size": "s-1vcpu-1gb"}]})),
        "did you mean 'postgres'?",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_had_is_refused_in_one_message_before_anything_is_made(account: dict[str, str], what: str):
    environment, arguments, words = REFUSED[what]
    done = playbook({**account, **environment}, "platform.yml", *arguments)
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert words in said
    assert "Traceback" not in done.stdout + done.stderr
    assert stack.account().droplets.list()["droplets"] == []
    assert stack.account().vpcs.list()["vpcs"] == []


def test_an_app_that_cannot_be_deployed_is_refused_before_anything_is_made(account: dict[str, str], tmp_path: Path):
    (tmp_path / "compose.yaml").write_text(
        "services: {db: {image: 'postgres:17'}, web: {image: 'nginx:1.28', environment: {REDIS_URL: 'redis://me:secret@db'}}}"
    )
    done = playbook(account, "site.yml", "-e", f"app_project={tmp_path}", "-e", '{"app_exclude": ["nobody"]}')
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "'nobody'' is no service of the project (db and web). Nothing was changed." in said
    done = playbook(account, "site.yml", "-e", f"app_project={tmp_path}")
    assert done.returncode != 0
    assert "web: REDIS_URL: redis is no scheme of postgres" in " ".join(done.stdout.split())
    assert stack.account().droplets.list()["droplets"] == []
    assert stack.account().vpcs.list()["vpcs"] == []


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, f"There is no VPC {NAME} in this account; run playbooks/platform.yml (or site.yml) first."),
        ({"DIGITALOCEAN_TOKEN": "dop_v1_none"}, "check DIGITALOCEAN_TOKEN"),
    ],
)
def test_a_deploy_to_where_nothing_is_says_what_has_to_be_there_first(account: dict[str, str], environment: dict[str, str], words: str):
    done = playbook({**account, **environment}, "deploy.yml")
    assert done.returncode != 0
    assert words in " ".join(done.stdout.split())


def test_the_demo_ends_with_a_url_that_serves_the_app_through_the_load_balancer(app: Droplets):
    assert "balancer" in app.output
    eventually(app.ready)
    app.submit(20)
    assert eventually(lambda: app.result(20)) == 10946


def test_a_second_run_changes_nothing_and_shows_no_secret_at_vvv(app: Droplets):
    secrets = [
        app.on("data-1", f"cat /etc/berth/{each}").strip()
        for each in ("postgres/secrets/app", "postgres/secrets/superuser", "redis/secrets/app")
    ]
    assert all(len(each) == 48 for each in secrets)
    done = app.playbook("site.yml", "-vvv", "--diff")
    assert done.returncode == 0, done.stdout[-3000:]
    assert not any(changes(done.stdout).values()), changes(done.stdout)
    for secret in secrets:
        assert secret not in done.stdout + done.stderr
    readable = app.on(
        "app-1", f"grep -rl -e {secrets[0]} -e {secrets[2]} /etc /srv /home /tmp /var/log 2>/dev/null | xargs -r stat -c %a | sort -u"
    )
    assert readable.split() == ["600"]
    assert "No such file" in app.on("app-1", "cat /root/.docker/config.json")


def test_the_inventory_is_the_architecture(app: Droplets):
    done = subprocess.run(
        ["ansible-inventory", "-i", "inventories/digitalocean", "--graph", "-e", f"app_name={NAME}"],
        cwd=ROOT,
        env=app.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    for line in ("@machines:", "@postgres:", "--data-1-postgres", "--data-1-redis", "--app-2"):
        assert line in done.stdout


def test_a_deploy_names_a_droplet_that_is_described_and_not_there(app: Droplets):
    more = [{"name": name, "groups": ["app"], "size": "s-1vcpu-2gb"} for name in ("app-1", "app-2", "app-3")]
    data = {"name": "data-1", "groups": ["postgres", "redis"], "size": "s-2vcpu-4gb", "volumes": [{"name": "data", "size": 20}]}
    done = app.playbook("deploy.yml", "-e", json.dumps({"digitalocean_droplets": [data, *more]}))
    assert done.returncode != 0
    assert "These droplets are described and not there: app-3. Run playbooks/platform.yml" in " ".join(done.stdout.split())


def test_the_status_tells_what_stands(app: Droplets):
    done = app.playbook("status.yml")
    assert done.returncode == 0, done.stdout[-3000:]
    said = " ".join(done.stdout.split())
    for words in (
        rf"platform +VPC {re.escape(ip_range(0))} in fra1, 3 droplets, load balancer http://",
        r"postgres +berth-postgres-with-backups:17\.7, running healthy on data-1-postgres, \S+ of data, the volume is \d+% full",
        r"redis +redis:8\.2\.2, running healthy",
        r"app +app-1, [0-9.]+: release \S+, 3 of 3 containers run",
    ):
        assert re.search(words, said), said


def test_a_domain_that_digitalocean_does_not_manage_leaves_http_serving_and_says_why(app: Droplets):
    done = app.playbook("platform.yml", "-e", "app_domain=shop.example.com")
    assert done.returncode == 0, done.stdout[-3000:]
    said = " ".join((done.stdout + done.stderr).split())
    assert "no certificate for shop.example.com" in said
    assert "DigitalOcean has to manage the DNS of the domain" in said
    assert app.ready()


def test_with_a_domain_the_load_balancer_answers_https_and_leads_http_there(app: Droplets):
    account, address = stack.account(), app.url.removeprefix("http://")
    account.domains.create(body={"name": "example.com"})
    named = ("-e", json.dumps({"app_domain": "shop.example.com", "app_domain_aliases": ["www.shop.example.com"]}))
    try:
        done = app.playbook("platform.yml", *named)
        assert done.returncode == 0, done.stdout[-3000:]
        again = app.playbook("platform.yml", *named)
        assert not any(changes(again.stdout).values()), changes(again.stdout)
        context = ssl.create_default_context(cafile=str(certificates.authority()))
        for name in ("shop.example.com", "www.shop.example.com"):
            with context.wrap_socket(socket.create_connection((address, 443), 10), server_hostname=name) as secured:
                secured.sendall(f"GET /readyz HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
                assert b" 200 " in secured.makefile("rb").readline()
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request("GET", "/readyz", headers={"Host": "shop.example.com"})
        assert connection.getresponse().getheader("location") == "https://shop.example.com/readyz"
    finally:
        account.domains.delete("example.com")
        done = app.playbook("platform.yml")
    assert done.returncode == 0, done.stdout[-3000:]
    assert eventually(app.ready)


def open_ports(address: str) -> list[int]:
    def look(port: int) -> bool:
        with socket.socket() as each:
            each.settimeout(0.5)
            return each.connect_ex((address, port)) == 0

    # All that a system may use, and what engines, stores, edges and what people run have.
    ports = [*range(1, 1024), 2019, 2375, 2376, 3000, 5000, 5001, 5432, 6379, 8000, 8080, 8443, 9090, 9100]
    with ThreadPoolExecutor(200) as pool:
        return [port for port, there in zip(ports, pool.map(look, ports), strict=True) if there]


def test_from_outside_only_ssh_and_the_web_are_open(app: Droplets):
    assert open_ports(app.address("data-1")) == [22]
    assert set(open_ports(app.address("app-1"))) <= {22, 80, 443}
    assert 80 in open_ports(app.address("app-1"))


ASK = """
const [user, database, tls] = process.argv.slice(1);
const client = new (require('pg').Client)({
  host: process.env.PGHOST, user, database, password: 'wrong', ssl: tls === 'tls' && {rejectUnauthorized: false}});
client.connect().then(() => console.log('connected'), (error) => console.log(error.message)).finally(() => client.end());
"""


def test_the_database_refuses_a_wrong_password_plain_text_and_the_superuser(app: Droplets):
    own = NAME.replace("-", "_")
    asked = {
        (own, own, "tls"): "password authentication failed",
        (own, own, "plain"): "no encryption",
        ("postgres", "postgres", "tls"): "pg_hba.conf rejects",
    }
    for words, answer in asked.items():
        api = "docker ps --quiet --filter label=com.docker.compose.service=api"
        assert answer in app.on("app-1", f'docker exec $({api}) node -e "{ASK}" {" ".join(words)}')
    host = app.address("data-1", "private")
    assert "NOAUTH" in app.on("app-1", f"(echo PING; sleep 1) | timeout 5 openssl s_client -quiet -connect {host}:6379 2>/dev/null")


def migrations(app: Droplets) -> int:
    """How often a release has migrated its database."""
    query = "psql -qAt -d audit -c 'select count(*) from migrated'"
    return int(app.on("data-1", f"docker exec -u postgres berth-postgres {query}"))


def visited(app: Droplets, name: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], Load]:
    """A playbook while visitors come at 100 requests a second, each of whom reads from both stores."""
    with Load(f"{app.url}/api/values/20") as load:
        done = app.playbook(name, *arguments)
    if load.lost:
        print(load.lost, *seen(app), sep="\n")
    return done, load


def seen(app: Droplets) -> list[str]:
    """What was not answered well, as the load balancer and the edges saw it."""
    balancers = containers.client().containers.list(filters={"name": containers.full_name("balancer-")})
    said = [each.logs(tail=20).decode(errors="replace") for each in balancers]
    return said + [app.on(name, "docker logs --tail 20 berth-edge 2>&1") for name in ("app-1", "app-2")]


def starved(load: Load) -> bool:
    """Whether all that was lost is what a store did not answer in time: three machines and their visitors share this one's processors."""
    return bool(load.lost) and all("a store is away" in each for each in load.lost)


@pytest.mark.alone
def test_a_deploy_at_100_requests_a_second_loses_none_and_neither_does_one_that_never_gets_healthy(app: Droplets):
    before, left, migrated = app.on("app-2", "cat /srv/berth/*/current.json"), releases_left(), migrations(app)
    done, load = visited(app, "deploy.yml", "-e", "app_release=second")
    if starved(load):
        done, load = visited(app, "deploy.yml", "-e", "app_release=second2")
    assert done.returncode == 0, done.stdout[-3000:]
    assert (load.lost, load.asked > 1000) == ({}, True)
    served = app.on("app-2", "cat /srv/berth/*/current.json")
    assert before != served
    # One of the two droplets has migrated for both.
    assert migrations(app) == migrated + 1 + ("second2" in served)
    broken = ("-e", "app_release=third", "-e", json.dumps({"app_env": {"api": {"PORT": "5999"}}, "app_compose_timeout": 8}))
    done, load = visited(app, "deploy.yml", *broken)
    if starved(load):
        done, load = visited(app, "deploy.yml", *broken)
    assert done.returncode != 0
    assert re.search(r"release third-\w+ was not brought into service, and second2?-\w+ goes on serving", " ".join(done.stdout.split()))
    assert (load.lost, load.asked > 1000) == ({}, True)
    assert app.on("app-2", "cat /srv/berth/*/current.json") == served
    assert releases_left() == left
    assert "third" not in app.on("app-1", "docker ps --all --format '{{.Names}}'; ls /srv/berth/*/releases")


@pytest.mark.alone
def test_a_rollback_at_100_requests_a_second_loses_none_and_needs_no_registry(app: Droplets):
    left, migrated = app.on("app-1", "cat /srv/berth/*/current.json"), migrations(app)
    nowhere = json.dumps({"app_registry": "127.0.0.1:1/nobody"})
    done, load = visited(app, "rollback.yml", "-e", nowhere)
    if starved(load):
        app.playbook("rollback.yml", "-e", f"app_release={json.loads(left)['release'].split('-')[0]}")
        done, load = visited(app, "rollback.yml", "-e", nowhere)
    assert done.returncode == 0, done.stdout[-3000:]
    assert (load.lost, load.asked > 500) == ({}, True)
    served = {name: json.loads(app.on(name, "cat /srv/berth/*/current.json"))["release"] for name in ("app-1", "app-2")}
    assert len(set(served.values())) == 1
    assert served["app-1"] == json.loads(left)["before"]
    assert migrations(app) == migrated


# As a deploy does it, over and over.
LED_ELSEWHERE = f"""
socket=/proc/$(docker inspect --format '{{{{.State.Pid}}}}' berth-edge)/root{ADMIN}
for each in $(seq 30); do
    curl --silent --show-error --fail-with-body --unix-socket $socket --data-binary @/etc/berth/edge/Caddyfile \
        --header 'Host;' --header 'Content-Type: text/caddyfile' --header 'Cache-Control: must-revalidate' http://127.0.0.1/load || exit 1
    sleep 0.1
done
echo it took them all
"""


@pytest.mark.alone
def test_who_connects_in_the_moment_in_which_the_edge_is_led_elsewhere_is_not_sent_away(app: Droplets):
    with Load(f"http://{app.address('app-1')}/", rate=900) as load:
        said = app.on("app-1", LED_ELSEWHERE)
    assert "it took them all" in said, said
    assert (load.lost, load.asked > 500) == ({}, True)


def test_services_that_end_at_the_same_moment_are_asked_where_they_come_back(app: Droplets):
    """nginx looked their addresses up when it started. Docker by itself gives them to whoever comes first."""
    here = replace(app, url=f"http://{app.address('app-1')}")

    def alone(service: str) -> str:
        """Its container, when the release before has ended."""
        found = app.on("app-1", f"docker ps --quiet --filter name=-{service}-").split()
        return found[0] if len(found) == 1 else ""

    api, worker = (eventually(lambda each=each: alone(each), 60) for each in ("api", "worker"))
    for first, second in ((worker, api), (api, worker)):
        app.on("app-1", f"docker stop --time 1 {api} {worker} && docker start {first} && docker start {second}")
        eventually(here.ready, 20)


@at_length("a minute")
def test_a_rollback_that_is_done_changes_nothing_and_a_release_can_be_named(app: Droplets):
    again = app.playbook("rollback.yml")
    assert not any(changes(again.stdout).values()), again.stdout
    done = app.playbook("rollback.yml", "-e", "app_release=nobody")
    assert done.returncode != 0
    assert "release nobody is not on the machine any more. The machine has second-" in " ".join(done.stdout.split())
    assert app.playbook("rollback.yml", "-e", "app_release=second").returncode == 0


SEEN = """
cd /etc/berth
for name in postgres/tls/server.pem redis/tls/server.pem authority/ca.pem; do openssl x509 -noout -serial -in $name; done
sha256sum postgres/secrets/* redis/secrets/*
docker inspect --format '{{.Name}} {{.State.StartedAt}}' berth-postgres berth-redis
"""


def test_a_second_run_is_refused_while_one_is_at_work_and_goes_through_when_that_one_was_killed(app: Droplets):
    held = "flock --nonblock /run/berth.lock true || cat /run/berth.lock"
    now = json.loads(app.on("app-1", "cat /srv/berth/*/current.json"))["release"]
    told = ("-e", f"app_name={app.name}", "-e", f"app_project={app.project}", *RANGE)
    first = start(Cloud(app.environment, "inventories/digitalocean"), "site.yml", *told)
    try:
        assert eventually(lambda: all(f'"process": {first.pid}' in app.on(name, held) for name in ("app-1", "data-1")))
        # Somebody who is asked something, say, and stays away.
        os.kill(first.pid, signal.SIGSTOP)
        done = app.playbook("rollback.yml", "-e", f"app_release={now}")
        assert done.returncode != 0
        said = " ".join(done.stdout.split())
        assert "is at work on this machine, with site.yml since 20" in said, said[-3000:]
        assert "Nothing was changed" in said
        assert app.playbook("status.yml").returncode == 0
    finally:
        kill_tree(first.pid)
        first.communicate()
    done = app.playbook("rollback.yml", "-e", f"app_release={now}")
    assert done.returncode == 0, done.stdout[-4000:]
    assert eventually(lambda: app.on("app-1", held) == "")


@pytest.mark.alone
def test_a_rotation_at_100_requests_a_second_loses_none_and_leaves_nothing_that_the_old_passwords_open(app: Droplets):
    before = app.on("data-1", SEEN).splitlines()
    old = {name: app.on("data-1", f"cat /etc/berth/{name}/secrets/app").strip() for name in ("postgres", "redis")}
    address, name = app.address("data-1", "private"), NAME.replace("-", "_")
    database = f"PGPASSWORD={old['postgres']} psql 'host={address} dbname={name} user={name} sslmode=require'"
    cache = "docker exec -e REDISCLI_AUTH={} berth-redis redis-cli --tls --cacert /etc/berth/tls/ca.pem --no-auth-warning"
    asked = cache.format("$(cat /etc/berth/redis/secrets/operator)") + " --user operator pubsub numsub strangers"
    # Somebody has the old passwords, and is inside.
    image = app.on("data-1", "docker inspect --format '{{.Config.Image}}' berth-postgres").strip()
    inside = f"docker run --rm --network host {image} sh -c \"{database} -c 'select pg_sleep(300)'\""
    app.on("data-1", f"nohup {inside} > /root/inside 2>&1 < /dev/null &")
    app.on("data-1", f"nohup {cache.format(old['redis'])} subscribe strangers > /dev/null 2>&1 < /dev/null &")
    assert eventually(lambda: app.on("data-1", asked).split() == ["strangers", "1"])
    done, load = visited(app, "rotate.yml", "-e", "app_release=rotated")
    if starved(load):
        done, load = visited(app, "rotate.yml", "-e", "app_release=rotated2")
    assert done.returncode == 0, done.stdout[-3000:]
    assert (load.lost, load.asked > 1000) == ({}, True)
    assert not [secret for secret in old.values() if secret in done.stdout]
    after = app.on("data-1", SEEN).splitlines()
    kept = [line for line in after if line in before]
    # Neither store was restarted; the user's password that is not in use is still in its file, and opens nothing.
    assert [line.split()[0] for line in kept if "berth-" in line] == ["/berth-postgres", "/berth-redis"], (before, after)
    assert len(kept) <= 3, kept
    assert "terminating connection due to administrator command" in app.on("data-1", "cat /root/inside")
    assert app.on("data-1", asked).split() == ["strangers", "0"]
    refused = app.on("data-1", f"docker run --rm --network host {image} sh -c \"{database} -c 'select 1'\"")
    assert "password authentication failed" in refused
    assert "WRONGPASS" in app.on("data-1", f"{cache.format(old['redis'])} ping")
    assert "No release served before" in app.playbook("rollback.yml").stdout
    again = changes(app.playbook("site.yml").stdout)
    assert {host: count for host, count in again.items() if host.startswith("data-1")} == {
        "data-1": 0,
        "data-1-postgres": 0,
        "data-1-redis": 0,
    }


def test_a_registry_that_refuses_is_said_so_and_the_old_release_serves(app: Droplets):
    registry = {"app_registry": "127.0.0.1:1/nobody", "app_registry_username": "someone", "app_registry_password": "a-secret-of-someone"}
    done = app.playbook("deploy.yml", "-e", json.dumps(registry))
    assert done.returncode != 0
    assert "app_registry" in done.stdout
    assert "a-secret-of-someone" not in done.stdout
    assert app.ready()


DATA = {"name": "data-1", "groups": ["postgres", "redis"], "size": "s-2vcpu-4gb", "volumes": [{"name": "data", "size": 22}]}
WANTED = [DATA, *({"name": name, "groups": ["app"], "size": "s-1vcpu-2gb"} for name in ("app-1", "app-2"))]


def test_a_token_that_may_only_look_and_a_key_that_does_not_fit_are_said_so(app: Droplets, tmp_path: Path):
    only_look = {**app.environment, "DIGITALOCEAN_TOKEN": api.READ_TOKEN}
    more = json.dumps({"digitalocean_droplets": [*WANTED, {"name": "app-3", "groups": ["app"], "size": "s-1vcpu-2gb"}]})
    done = playbook(only_look, "platform.yml", "-e", f"app_project={app.project}", "-e", more)
    assert done.returncode != 0
    assert "the token in DIGITALOCEAN_TOKEN may not do this" in " ".join(done.stdout.split())
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    # Connections that are open already would not ask for a key.
    other = {**app.environment, "BERTH_SSH_KEY": str(key), "ANSIBLE_SSH_CONTROL_PATH_DIR": str(tmp_path)}
    done = playbook(other, "platform.yml", "-e", f"app_project={app.project}")
    assert done.returncode != 0
    assert f"does not let the key {key} in" in " ".join(done.stdout.split())
    assert app.ready()


def test_the_name_of_visitors_leads_to_the_load_balancer_where_the_app_answers(app: Droplets):
    account = stack.account()
    account.domains.create(body={"name": "example.com"})

    def named(**more: Any) -> tuple[int, str]:
        done = app.playbook("name.yml", "-e", json.dumps({"app_domain": "shop.example.com", "app_dns": "digitalocean", **more}))
        return done.returncode, " ".join(done.stdout.split())

    try:
        code, said = named(dns_target="127.0.0.9", dns_wait=0)
        assert code != 0
        assert "The app does not answer at http://127.0.0.9/ yet (nobody does)" in said and "leads to where it did before" in said
        assert account.domains.list_records("example.com")["domain_records"] == []
        code, said = named()
        assert code == 0, said
        record = account.domains.list_records("example.com", name="shop.example.com")["domain_records"][0]
        assert (record["type"], record["ttl"]) == ("A", 60)
        # What a resolver would tell a browser.
        connection = http.client.HTTPConnection(record["data"], timeout=10)
        connection.request("GET", "/", headers={"Host": "shop.example.com"})
        assert "<title>Fibonacci</title>" in connection.getresponse().read().decode()
        code, said = named()
        assert code == 0 and not re.search(r"changed=[1-9]", said), said
        assert f"shop.example.com leads to {record['data']}" in said
        code, said = named(app_domain_aliases=["www.shop.example.com"])
        assert code == 0 and f" www.shop.example.com leads to {record['data']}" in said
        further = account.domains.list_records("example.com", name="www.shop.example.com")["domain_records"][0]
        assert (further["type"], further["data"]) == ("A", record["data"])
    finally:
        account.domains.delete("example.com")


@at_length("a minute")
def test_a_droplet_that_does_not_answer_leaves_the_others_alone(app: Droplets):
    machine = machines.of(app.droplet("app-2")["id"])
    machine.pause()
    try:
        done = app.playbook("platform.yml", "-e", "machine_timeout=5", "-e", "ansible_ssh_timeout=5")
    finally:
        machine.unpause()
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert f"app-2 ({app.address('app-2')}) does not answer by SSH for 5 s" in said
    assert re.search(r"app-1 : ok=\d+ changed=0 unreachable=0 failed=0", said)
    eventually(app.ready)


def test_an_image_for_another_architecture_is_refused_before_it_starts(app: Droplets, tmp_path: Path):
    other, image = "amd64" if os.uname().machine in ("aarch64", "arm64") else "arm64", "alien-test:1"
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\nCMD ['/none']\n")
    (tmp_path / "compose.yaml").write_text(f"services:\n  web:\n    image: {image}\n    ports: ['80:80']\n")
    subprocess.run(["docker", "build", "--quiet", "--platform", f"linux/{other}", "--tag", image, str(tmp_path)], check=True)
    registry.offer([image])
    served = app.on("app-1", "cat /srv/berth/*/current.json")
    done = playbook(app.environment, "deploy.yml", "-e", f"app_project={tmp_path}")
    subprocess.run(["docker", "image", "rm", image], capture_output=True, check=False)
    assert done.returncode != 0
    assert f"is for {other}, and this machine is" in " ".join(done.stdout.split())
    assert app.on("app-1", "cat /srv/berth/*/current.json") == served
    assert app.ready()


def test_a_full_disk_is_said_so_and_the_old_release_serves(app: Droplets):
    served = app.on("app-1", "cat /srv/berth/*/current.json")
    # A disk of its own for the engine, with room for nothing: the running release is still on the other.
    app.on("app-1", "systemctl stop docker && mount -t tmpfs -o size=8m none /var/lib/docker && systemctl start docker")
    try:
        done = app.playbook("deploy.yml", "-e", "app_release=full")
    finally:
        app.on("app-1", "systemctl stop docker && umount /var/lib/docker && systemctl start docker")
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "the machine's disk is full" in said, said[-3000:]
    assert app.on("app-1", "cat /srv/berth/*/current.json") == served
    eventually(app.ready)


def test_a_data_droplet_that_restarts_comes_back_by_itself_with_its_data(app: Droplets):
    app.on("data-1", "systemctl reboot")
    eventually(lambda: not app.ready(), 20)
    # Either droplet may answer, and each finds its way back for itself.
    eventually(lambda: app.ready() and app.result(20) == 10946, 60)


@at_length("two minutes")
def test_a_lost_data_droplet_gets_its_data_back_on_a_volume_that_grew(app: Droplets):
    stack.account().droplets.destroy(app.droplet("data-1")["id"])
    done = app.playbook("site.yml", "-e", json.dumps({"digitalocean_droplets": WANTED}), "-e", "app_release=second")
    assert done.returncode == 0, done.stdout[-5000:]
    eventually(app.ready)
    assert app.result(20) == 10946
    assert " 22G" in app.on("data-1", "df -h /mnt/data")


# A package of ours in a repository of the droplet's own: the release that is installed, and a newer one, whose script stands for what an
# engine's or a kernel's does.
PROBE = """set -e
mkdir -p /srv/probe
for version in 1 2; do
    rm -rf /tmp/probe; mkdir -p /tmp/probe/DEBIAN
    printf 'Package: berth-probe\\nVersion: %s\\nArchitecture: all\\nMaintainer: a <a@example.com>\\nDescription: a probe\\n' $version \
        > /tmp/probe/DEBIAN/control
    printf '#!/bin/sh\\n%s\\n' "$([ $version = 1 ] || echo 'NEWER')" > /tmp/probe/DEBIAN/postinst
    chmod 755 /tmp/probe/DEBIAN/postinst
    dpkg-deb --build /tmp/probe /srv/probe/probe_$version.deb
done
dpkg --install /srv/probe/probe_1.deb
cd /srv/probe
{ dpkg-deb --field probe_2.deb; echo "Filename: ./probe_2.deb"; echo "Size: $(stat --format %s probe_2.deb)"
  echo "SHA256: $(sha256sum probe_2.deb | cut -d ' ' -f 1)"; } > Packages
echo 'deb [trusted=yes] file:/srv/probe ./' > /etc/apt/sources.list.d/probe.list
"""


@at_length("three minutes")
@pytest.mark.alone
def test_packages_and_the_engine_are_brought_on_one_droplet_after_another_without_a_lost_request(app: Droplets):
    newer = {"data-1": "systemctl restart docker", "app-1": "touch /run/reboot-required", "app-2": "touch /run/reboot-required"}
    for name, script in newer.items():
        said = app.on(name, f"cat > /tmp/probe.sh <<'END'\n{PROBE.replace('NEWER', script)}END\nsh /tmp/probe.sh")
        assert app.on(name, "dpkg-query --show --showformat '${Version}' berth-probe") == "1", said
    shown = "docker inspect --format '{{.State.StartedAt}}' "
    engine = "systemctl show docker --property ActiveEnterTimestampMonotonic"
    store, ran = app.on("data-1", shown + "berth-postgres"), app.on("data-1", engine)
    edges = {name: app.on(name, shown + "berth-edge") for name in ("app-1", "app-2")}
    done, load = visited(app, "patch.yml")
    assert done.returncode == 0, done.stdout[-3000:]
    assert (load.lost, load.asked > 1000) == ({}, True)
    assert "app-1: 1 packages to bring on: berth-probe" in " ".join(done.stdout.split())
    for name in newer:
        assert app.on(name, "dpkg-query --show --showformat '${Version}' berth-probe") == "2"
    # The engine was another one, and its containers went on; those of the droplets that asked for a restart were restarted.
    assert app.on("data-1", engine) != ran
    assert app.on("data-1", shown + "berth-postgres") == store
    assert all(app.on(name, shown + "berth-edge") != edges[name] for name in edges)
    assert all(f"berth:{app.name}:app:front" in app.droplet(name)["tags"] for name in edges)
    done = app.playbook("patch.yml")
    assert done.returncode == 0, done.stdout[-3000:]
    assert not any(changes(done.stdout).values())
    # One that a run has left aside gets its visitors back.
    stack.account().tags.unassign_resources(
        f"berth:{app.name}:app:front", body={"resources": [{"resource_id": str(app.droplet("app-1")["id"]), "resource_type": "droplet"}]}
    )
    app.playbook("patch.yml")
    assert f"berth:{app.name}:app:front" in app.droplet("app-1")["tags"]


@at_length("three minutes")
def test_droplets_come_grow_and_go_without_a_lost_request(app: Droplets):
    wanted = [
        DATA,
        {"name": "app-1", "groups": ["app"], "size": "s-2vcpu-2gb"},
        {"name": "app-3", "groups": ["app"], "size": "s-1vcpu-2gb"},
    ]
    told = ("-e", json.dumps({"digitalocean_droplets": wanted}), "-e", "app_release=second")
    done = app.playbook("platform.yml", "--check", "--diff", *told)
    assert f"resize droplet {NAME}-app-1 from s-1vcpu-2gb to s-2vcpu-2gb: it is off for a minute" in done.stdout, done.stdout[-3000:]
    assert app.droplet("app-1")["size_slug"] == "s-1vcpu-2gb"
    done, load = visited(app, "site.yml", *told)
    assert done.returncode == 0, done.stdout[-5000:]
    assert load.lost == {}
    names = {each["name"].removeprefix(f"{NAME}-"): each["size_slug"] for each in stack.account().droplets.list()["droplets"]}
    assert names == {"data-1": "s-2vcpu-4gb", "app-1": "s-2vcpu-2gb", "app-3": "s-1vcpu-2gb"}


def test_a_data_droplet_is_never_destroyed_by_a_converge(app: Droplets):
    only = [{"name": "app-1", "groups": ["app"], "size": "s-1vcpu-2gb"}]
    done = app.playbook("platform.yml", "-e", json.dumps({"digitalocean_droplets": only}))
    assert done.returncode != 0
    assert "A converge destroys no data" in " ".join(done.stdout.split())
    assert app.ready()


def test_destroy_asks_for_the_name_and_keeps_the_volume(app: Droplets):
    done = app.playbook("destroy.yml", "-e", "destroy=another")
    assert done.returncode != 0
    assert "Nothing was removed" in done.stdout
    assert app.ready()
    done = app.playbook("destroy.yml", "-e", f"destroy={NAME}")
    assert done.returncode == 0, done.stdout[-3000:]
    account = stack.account()
    for kind in ("droplets", "load_balancers", "firewalls", "vpcs"):
        assert getattr(account, kind).list()[kind] == [], kind
    assert [each["name"] for each in account.volumes.list()["volumes"]] == [f"{NAME}-data-1-data"]
    assert re.search(r"a last backup, \d{8}-\d{6}F\S*, in berth-rehearsal/", " ".join(done.stdout.split()))
