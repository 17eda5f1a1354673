"""HTTPS by itself on a droplet: a certificate by ACME, its renewal, and what visitors have while there is none."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rehearsal import server
from rehearsal.digitalocean import authorities
from tests.machine.conftest import Cloud, eventually, ip_range
from tests.machine.test_digitalocean_home import Droplets, changes

pytestmark = pytest.mark.docker
# What answers at once, after ten seconds, or as a WebSocket, which it closes when it is told to end.
SERVER = """
const sockets = new Set(), said = "release " + process.env.RELEASE;
const server = require("http").createServer((asked, answer) => setTimeout(() => answer.end(said), asked.url === "/slow" ? 10000 : 0));
server.on("upgrade", (asked, socket) => {
  const key = asked.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const accept = require("crypto").createHash("sha1").update(key).digest("base64");
  const head = "HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n";
  socket.write(head + "Sec-WebSocket-Accept: " + accept + "\\r\\n\\r\\n");
  sockets.add(socket);
});
process.on("SIGTERM", () => {
  sockets.forEach((socket) => socket.end(Buffer.from([0x88, 2, 3, 0xe9])));
  server.close(() => process.exit(0));
});
setTimeout(() => server.listen(80), Number(process.env.LATE || 0));
"""
# What a release does to its database before it starts.
MIGRATION = {"image": "node:22-slim", "command": ["node", "-e", "console.log('migrated')"]}
NAME, DOMAIN = "https-test", "shop.example.com"
# Long enough for a deploy, short enough to see a renewal: Caddy renews when a third is left.
LIFETIME = 36


@dataclass
class Secured(Droplets):
    """A droplet with an app of one service, and the authority that it gets certificates from."""

    authority: Any = None
    domain: str = DOMAIN

    def tried(self, playbook: str = "deploy.yml", **more: Any) -> subprocess.CompletedProcess[str]:
        given = {
            "app_stage": "",
            "digitalocean_ip_range": ip_range(8),
            "digitalocean_droplets": [{"name": "app-1", "groups": ["app"], "size": "s-1vcpu-1gb"}],
            "app_domain": self.domain,
            "app_compose_acme_directory": self.authority.directory,
            "app_compose_acme_authority": self.authority.server,
            # Caddy looks every ten minutes.
            "app_compose_edge_options": ["renew_interval 2s"],
            "app_compose_certificate_timeout": 30,
            **more,
        }
        return self.playbook(playbook, "-e", json.dumps(given))

    def deploy(self, playbook: str = "deploy.yml", **more: Any) -> str:
        done = self.tried(playbook, **more)
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout + done.stderr

    def ask(self, scheme: str, domain: str = "", path: str = "/") -> tuple[int, dict[str, str], str]:
        """Status, headers and body, as a visitor has them who trusts the authority."""
        address = self.address("app-1")
        connection: http.client.HTTPConnection
        if scheme == "https":
            connection = http.client.HTTPSConnection(domain or self.domain, timeout=10)
            connection.sock = self.secured(domain or self.domain)
            connection.sock.settimeout(30)
        else:
            connection = http.client.HTTPConnection(address, timeout=10)
        connection.request("GET", path, headers={"Host": domain or self.domain})
        answer = connection.getresponse()
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read().decode()

    def secured(self, domain: str) -> ssl.SSLSocket:
        context = ssl.create_default_context(cadata=self.authority.root)
        return context.wrap_socket(socket.create_connection((self.address("app-1"), 443), 10), server_hostname=domain)

    def serial(self) -> str:
        with self.secured(self.domain) as connection:
            return str((connection.getpeercert() or {})["serialNumber"])


@pytest.fixture(scope="module")
def shop(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    project: Path = tmp_path_factory.mktemp("shop") / "shop"
    project.mkdir()
    service: dict[str, Any] = {
        "image": "node:22-slim",
        "command": ["node", "-e", SERVER],
        "ports": ["80:80"],
        "environment": {"RELEASE": "1"},
    }
    service["depends_on"] = {"migrate": {"condition": "service_completed_successfully"}}
    (project / "compose.yaml").write_text(json.dumps({"services": {"web": service, "migrate": MIGRATION}}))
    server.digitalocean(["node:22-slim"])
    app = Secured(NAME, "", cloud.environment, "", "digitalocean", project=project, authority=authorities.start(LIFETIME))
    # The name leads nowhere yet.
    app.output = app.deploy("site.yml", app_compose_certificate_timeout=8)
    yield app
    done = app.playbook("destroy.yml", "-e", json.dumps({"destroy": NAME}))
    assert done.returncode == 0, done.stdout[-3000:]


def test_while_no_certificate_can_be_had_http_serves_and_it_is_said_why(shop: Secured):
    said = " ".join(shop.output.split())
    assert f"no certificate for {DOMAIN}" in said
    assert re.search(r"urn:ietf:params:acme:error:\w+", said)
    assert f"does the DNS record of {DOMAIN} lead to this machine, and is port 80 open to everyone?" in said
    assert f"URL: http://{DOMAIN}" in said
    status, headers, body = shop.ask("http")
    assert (status, "release" in body) == (200, True)
    assert "strict-transport-security" not in headers


def test_once_the_name_leads_there_https_serves_and_http_is_led_to_it(shop: Secured):
    authorities.resolve(DOMAIN, shop.address("app-1"))
    said = " ".join(shop.deploy(app_env={"RELEASE": "2"}).split())
    assert f"URL: https://{DOMAIN}" in said
    status, headers, body = shop.ask("https")
    assert (status, "release" in body) == (200, True)
    assert headers["strict-transport-security"].startswith("max-age=31536000")
    assert headers["x-content-type-options"] == "nosniff"
    status, headers, _body = shop.ask("http")
    assert (status, headers["location"]) == (308, f"https://{DOMAIN}/")


def test_a_second_run_changes_nothing_and_the_status_tells_until_when_the_certificate_is(shop: Secured):
    assert not any(changes(shop.deploy(app_env={"RELEASE": "2"})).values())
    said = " ".join(shop.deploy("status.yml").split())
    assert re.search(rf"{DOMAIN}: HTTPS, certificate until \w+ \d+ \d\d:\d\d:\d\d \d{{4}} GMT", said), said


def test_further_names_have_https_of_their_own_and_one_that_leads_nowhere_takes_none_from_the_others(shop: Secured):
    authorities.resolve("www.example.com", shop.address("app-1"))
    more = {"app_env": {"RELEASE": "2"}, "app_compose_certificate_timeout": 8}
    done = shop.tried(app_domain_aliases=["www.example.com", "lost.example.com"], **more)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 0, said
    assert "no certificate for lost.example.com" in said
    assert "no certificate for www.example.com" not in said
    assert [shop.ask("https", each)[0] for each in (DOMAIN, "www.example.com")] == [200, 200]
    for name in (DOMAIN, "www.example.com"):
        status, headers, _body = shop.ask("http", name)
        assert (status, headers["location"]) == (308, f"https://{name}/")
    status, headers, body = shop.ask("http", "lost.example.com")
    assert (status, body) == (200, "release 2")
    assert "strict-transport-security" not in headers
    said = " ".join(shop.deploy("status.yml", app_domain_aliases=["www.example.com", "lost.example.com"]).split())
    assert f"{DOMAIN}: HTTPS, certificate until" in said and "no certificate for lost.example.com" in said
    given = {"app_domain_aliases": ["www.example.com"], **more}
    shop.deploy(**given)
    assert shop.ask("http", "www.example.com")[0] == 308
    assert not any(changes(shop.deploy(**given)).values())


def test_further_names_without_a_first_one_or_that_are_none_are_refused(shop: Secured):
    for given, words in (
        ({"app_domain": "", "app_domain_aliases": ["www.example.com"]}, "further names need a first one"),
        ({"app_domain_aliases": ["https://www.example.com"]}, "https://www.example.com is no name"),
    ):
        done = shop.tried("platform.yml", **given)
        assert done.returncode != 0
        assert words in " ".join(done.stdout.split())
    assert shop.ask("https")[0] == 200


def closing(connection: ssl.SSLSocket) -> int | None:
    """The code with which a WebSocket is closed, once it is; None where it breaks off."""
    said = b""
    while part := connection.recv(4096):
        said += part
    found = re.search(rb"\r\n\r\n\x88\x02(..)", said, re.DOTALL)
    return int.from_bytes(found[1]) if found else None


def in_flight(pool: ThreadPoolExecutor, shop: Secured, run: Future[str]) -> list[Future[tuple[int, dict[str, str], str]]]:
    """Requests of ten seconds, begun one after another until a run ends, so that some are in flight at each of its steps."""
    slow = []
    while not run.done():
        slow.append(pool.submit(shop.ask, "https", path="/slow"))
        time.sleep(0.5)
    run.result()
    return slow


def test_over_a_deploy_what_is_in_flight_is_answered_and_websockets_are_closed(shop: Secured):
    opened = shop.secured(DOMAIN)
    opened.settimeout(90)
    words = f"GET / HTTP/1.1\r\nHost: {DOMAIN}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    opened.sendall(f"{words}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
    with ThreadPoolExecutor(12) as pool:
        closed = pool.submit(closing, opened)
        slow = in_flight(pool, shop, pool.submit(shop.deploy, app_env={"RELEASE": "3"}))
        left = [each for each in slow if not each.done()]
        answers = [(each.result()[0], each.result()[2]) for each in slow]
        assert {status for status, _body in answers} == {200}
        assert {body for _status, body in answers} >= {"release 2"} and len(answers) > 3
        # Nobody who deploys waits for them.
        assert "release 2" in {each.result()[2] for each in left}
        # 1001: going away, which tells a browser to connect anew.
        assert closed.result() in (1000, 1001)
    assert shop.ask("https")[2] == "release 3"


def test_back_at_once_the_release_that_was_about_to_end_goes_on(shop: Secured):
    with ThreadPoolExecutor(30) as pool:
        slow = in_flight(pool, shop, pool.submit(shop.deploy, app_env={"RELEASE": "4"}))
        slow += in_flight(pool, shop, pool.submit(shop.deploy, "rollback.yml"))
        said = " ".join(shop.deploy("status.yml").split())
        policies = "docker ps --quiet --filter label=org.berth.app | xargs docker inspect --format '{{.HostConfig.RestartPolicy.Name}}'"
        kept_up = sorted(shop.on("app-1", policies).split())
        answers = [each.result() for each in slow]
    assert re.search(r"release \S+, 1 of 1 containers run; \S+ is ending", said), said
    # What a restart of the machine brings back.
    assert kept_up == ["no", "unless-stopped"]
    assert {status for status, _headers, _body in answers} == {200}
    assert {body for _status, _headers, body in answers} == {"release 3", "release 4"}
    assert shop.ask("https")[2] == "release 3"
    assert eventually(lambda: shop.on("app-1", policies).split() == ["unless-stopped"])
    assert eventually(lambda: "is ending" not in shop.deploy("status.yml"))


def test_visitors_are_led_to_a_release_once_it_answers_and_never_to_one_that_does_not(shop: Secured):
    with ThreadPoolExecutor(1) as pool:
        # One that takes its time, and one that takes too long.
        for release, late in ((5, 6), (6, 600)):
            given = {"web": {"RELEASE": str(release), "LATE": f"{late}000"}}
            tried = pool.submit(shop.tried, app_env=given, app_compose_timeout=15)
            longest = 0.0
            while not tried.done():
                begin = time.monotonic()
                assert shop.ask("https")[0] == 200
                longest = max(longest, time.monotonic() - begin)
                time.sleep(0.1)
            done = tried.result()
            assert shop.ask("https")[2] == "release 5"
            # Nobody waits in front of a release that has only begun.
            assert longest < late
    assert done.returncode != 0
    words = " ".join(done.stdout.split())
    assert re.search(r"within 15 s \(app_compose_timeout\) it did not come up: web answers / with .*Connection refused", words), words


def test_the_certificate_is_renewed_without_anyone(shop: Secured):
    before = shop.serial()
    assert eventually(lambda: shop.serial() != before, LIFETIME)
    assert shop.ask("https")[0] == 200
