# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The edge of a machine: Caddy, which leads visitors to the release that serves, and where a domain is given gets it a certificate.

Until there is a certificate visitors are served in plain HTTP, so that a name that does not lead here yet takes nobody's app away. When
there is one, HTTP is led to HTTPS. Caddy renews it by itself.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import ssl
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from . import edge_admin, edge_files, release_model
from .docker_api import ask
from .machine_docker import Docker, Run
from .problems import BerthError
from .writing import write

_FOLDER = Path("/etc/berth/edge")
_MODEL = Path("/srv/berth/edge/compose.json")
# Linux 5.14 and later: https://docs.kernel.org/networking/ip-sysctl.html
_MIGRATES = Path("/proc/sys/net/ipv4/tcp_migrate_req")
_AUTHORITY = "authority.pem"
_SEE_SECONDS = 20
_ANSWER_SECONDS = 10
_SERVER_ERROR = 500
_LOOK_SECONDS = 0.3
_LOGS = ("--since", "30m", "--tail", "2000")


class Edge:
    """The edge on this machine. ``params``: the parameters of the module compose_release."""

    def __init__(self, params: Mapping[str, Any], run: Run) -> None:
        self.params = params
        self.run, self.docker = run, Docker(run)
        self._process = 0

    @property
    def domain(self) -> str:
        """The name under which visitors come, or the empty string."""
        return self.params["domain"] or ""

    @property
    def names(self) -> list[str]:
        """All names under which visitors come, that one first."""
        return list(dict.fromkeys([self.domain, *(self.params["domain_aliases"] or [])])) if self.domain else []

    def caddyfile(self, upstream: str, *, certified: Collection[str]) -> str:
        """What leads visitors to ``upstream``, host:port. ``certified``: the names that have a certificate."""
        params = self.params
        options = [f"email {params['email']}"] if params["email"] else []
        if params["acme_directory"]:
            options.append(f"acme_ca {params['acme_directory']}")
        if params["acme_authority"]:
            options.append(f"acme_ca_root /etc/caddy/{_AUTHORITY}")
        options += params["edge_options"]
        return edge_files.caddyfile(
            upstream, self.names, options, certified=certified, proxies=params["trusted_proxies"], health=params["health_path"]
        )

    def leads(self, upstream: str) -> bool:
        """Whether the edge leads to ``upstream`` in the way that it can."""
        try:
            text = (_FOLDER / "Caddyfile").read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        return self.runs() and text == self.caddyfile(upstream, certified=self.certified())

    def runs(self) -> bool:
        """Whether the edge runs, of the wanted image."""
        found = self.docker.container(release_model.EDGE_NETWORK)
        state = found.get("State") or {}
        self._process = int(state.get("Pid") or 0)
        return bool(state.get("Running")) and found["Config"]["Image"] == self.params["edge_image"]

    def network(self) -> None:
        """Have the network on which the edge finds front doors."""
        if ask(f"/networks/{release_model.EDGE_NETWORK}") is None:
            self.docker.check("The edge's network", "network", "create", release_model.EDGE_NETWORK)

    def lead(self, upstream: str) -> None:
        """Let the edge lead to ``upstream``, and see that it answers there. Raises :class:`BerthError`, the edge as it was."""
        path = _FOLDER / "Caddyfile"
        before = path.read_text(encoding="utf-8") if path.is_file() else None
        # Caddy runs as root without the right to pass over permissions.
        _FOLDER.mkdir(parents=True, exist_ok=True, mode=0o755)
        other = write(_MODEL, json.dumps(edge_files.edge_model(self.params["edge_image"], migrates=_MIGRATES.exists())))
        if self.params["acme_authority"]:
            write(_FOLDER / _AUTHORITY, self.params["acme_authority"].strip() + "\n", 0o644)
        try:
            certified = [] if other else self.certified()
            write(path, self.caddyfile(upstream, certified=certified), 0o644)
            if other or not self.runs():
                project = ("compose", "--file", str(_MODEL), "--project-name", release_model.EDGE_NETWORK)
                self.docker.check("The edge", *project, "up", "--detach", "--quiet-pull", "--wait")
                self.runs()
            self._reload()
            self._see(certified=self.domain in certified)
            if set(self.names) - set(certified):
                come = self._certificates_come()
                if come != certified:
                    write(path, self.caddyfile(upstream, certified=come), 0o644)
                    self._reload()
                    self._see(certified=self.domain in come)
        except BerthError:
            if before is not None:
                write(path, before, 0o644)
                # One that does not run has not taken the other, and would be waited for.
                with contextlib.suppress(BerthError):
                    if self.runs():
                        self._reload()
            raise

    def remove(self) -> None:
        """Take the edge away."""
        if _MODEL.is_file():
            self.docker.check("The edge", "compose", "--file", str(_MODEL), "--project-name", release_model.EDGE_NETWORK, "down")
            self.docker("network", "rm", release_model.EDGE_NETWORK)
            shutil.rmtree(_MODEL.parent)
            shutil.rmtree(_FOLDER, ignore_errors=True)

    def _reload(self) -> None:
        """Have Caddy take its configuration: asked at its socket, since a command in its container takes a tenth of a second more."""
        text, end = (_FOLDER / "Caddyfile").read_text(encoding="utf-8"), time.monotonic() + _SEE_SECONDS
        while True:
            try:
                problem = edge_admin.load(f"/proc/{self._process}/root{edge_files.ADMIN}", text)
                break
            except (OSError, http.client.HTTPException) as error:
                if time.monotonic() > end:
                    raise BerthError(f"the edge ({release_model.EDGE_NETWORK}) does not answer: {error or type(error).__name__}") from None
                time.sleep(_LOOK_SECONDS)
                # It has just been started, or ended and was started again.
                self.runs()
        if problem:
            raise BerthError(f"the edge ({release_model.EDGE_NETWORK}) does not take its configuration: {problem}")

    def _see(self, *, certified: bool) -> None:
        """Ask the front door through the edge."""
        end = time.monotonic() + _SEE_SECONDS
        while time.monotonic() < end:
            said = self.asked("127.0.0.1", 80, certified=certified)
            if not said:
                return
            time.sleep(_LOOK_SECONDS)
        raise BerthError(f"through the edge {self.params['health_path']} answers {said}")

    def asked(self, address: str, port: int, *, certified: bool = False) -> str:
        """What is wrong with the answer to a visitor; empty where nothing is. ``certified``: the visitor comes to the domain, by HTTPS."""
        connection = _Named(self.domain) if certified else http.client.HTTPConnection(address, port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", self.params["health_path"], headers={"Host": self.domain or "localhost"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__
        finally:
            connection.close()
        return f"HTTP {status}" if status >= _SERVER_ERROR else ""

    def certified(self) -> list[str]:
        """The names for which the edge has a certificate."""
        return [name for name in self.names if _certificate(name)]

    def _certificates_come(self) -> list[str]:
        """Wait for them: not to the end where the authority has refused by then, since Caddy tries again in ever longer steps."""
        begin, most = time.monotonic(), self.params["certificate_timeout"]
        while True:
            certified = self.certified()
            missing, waited = [name for name in self.names if name not in certified], time.monotonic() - begin
            if not missing or waited >= most or (waited >= most / 2 and all(self.problem(name) for name in missing)):
                return certified
            time.sleep(1)

    def problem(self, name: str) -> str:
        """Why a name's certificate could not be had, as the edge has logged it last; empty where it has not."""
        _code, out, err = self.docker("logs", *_LOGS, release_model.EDGE_NETWORK)
        return certificate_problem(out + err, name)

    def certificate(self) -> dict[str, Any]:
        """What visitors have of HTTPS: ``domain``, ``served``, ``expires`` (of that one, as openssl says it) and ``problem``, of any of its names;
        empty without a domain.
        """
        if not self.domain:
            return {}
        found = {name: _certificate(name) for name in self.names}
        problems = [self._missing(name) for name, certificate in found.items() if not certificate]
        told = {"domain": self.domain, "served": bool(found[self.domain]), "expires": "", "problem": ". ".join(problems)}
        if not told["served"]:
            return told
        code, out, _err = self.run(["openssl", "x509", "-noout", "-enddate"], data=ssl.DER_cert_to_PEM_cert(found[self.domain]))
        return {**told, "expires": out.strip().removeprefix("notAfter=") if code == 0 else ""}

    def _missing(self, name: str) -> str:
        said = self.problem(name) or "there is none yet"
        hint = f"does the DNS record of {name} lead to this machine, and is port 80 open to everyone?"
        return f"no certificate for {name} ({said}); {hint} Visitors are served in plain HTTP until there is one"


def _context() -> ssl.SSLContext:
    # Asked over the loopback address whether it answers; whether its certificate is to be trusted is the visitors' to judge.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Named(http.client.HTTPSConnection):
    """A connection to this machine that asks for a domain."""

    def __init__(self, domain: str) -> None:
        super().__init__(domain, 443, timeout=_ANSWER_SECONDS, context=_context())

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", 443), _ANSWER_SECONDS)
        self.sock = _context().wrap_socket(plain, server_hostname=self.host)


def _certificate(domain: str) -> bytes:
    """The certificate that this machine shows for a domain; empty where it shows none."""
    connection = _Named(domain)
    try:
        connection.connect()
        return connection.sock.getpeercert(binary_form=True) or b""
    except OSError:
        return b""
    finally:
        connection.close()


def certificate_problem(log: str, domain: str) -> str:
    """Why a domain's certificate could not be had, by Caddy's log (an object of JSON a line); empty where nothing is said of it."""
    said = ""
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict) or entry.get("identifier", entry.get("name")) != domain:
            continue
        if entry.get("level") == "error" and entry.get("error"):
            said = str(entry["error"]).replace(f"[{domain}] ", "")
        elif "obtained successfully" in str(entry.get("msg")):
            said = ""
    return said
