"""How the edge is led elsewhere, and why a certificate could not be had, as its log has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from berth import edge, machine_docker
from berth.edge import Edge, certificate_problem
from berth.edge_files import IMAGE, edge_model
from berth.problems import BerthError
from hypothesis import given
from hypothesis import strategies as st

REFUSED = {
    "level": "error",
    "logger": "tls.obtain",
    "msg": "could not get certificate from issuer",
    "identifier": "shop.example.com",
    "error": "HTTP 400 urn:ietf:params:acme:error:dns - no such host",
}


def lines(*entries: dict[str, object]) -> str:
    return "\n".join(json.dumps(each) for each in entries)


def test_the_last_reason_is_told():
    later = {**REFUSED, "error": "[shop.example.com] HTTP 429 urn:ietf:params:acme:error:rateLimited - too many"}
    assert certificate_problem(lines(REFUSED, later), "shop.example.com") == "HTTP 429 urn:ietf:params:acme:error:rateLimited - too many"


def test_what_was_mended_since_is_no_reason():
    had = {"level": "info", "msg": "certificate obtained successfully", "identifier": "shop.example.com"}
    assert certificate_problem(lines(REFUSED, had), "shop.example.com") == ""


def test_another_domain_s_trouble_is_not_this_one_s():
    assert certificate_problem(lines(REFUSED), "other.example.com") == ""


@given(st.text())
def test_any_log_is_read(text: str):
    assert isinstance(certificate_problem(text, "shop.example.com"), str)


@pytest.mark.parametrize("migrates", [True, False])
def test_connections_are_handed_on_while_the_edge_takes_another_configuration_where_the_kernel_can(migrates):
    caddy = edge_model("caddy:2", migrates=migrates)["services"]["caddy"]
    assert caddy.get("sysctls") == ({"net.ipv4.tcp_migrate_req": "1"} if migrates else None)


def test_the_role_s_edge_is_the_same_caddy():
    defaults = Path(__file__).parents[2] / "roles" / "app_compose" / "defaults" / "main.yml"
    assert yaml.safe_load(defaults.read_text())["app_compose_edge_image"] == IMAGE


class Caddy:
    """An edge that runs as process 7, or does not; ``answers``: what it says to each configuration, one after another."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.runs, self.answers, self.asked, self.said = True, list[str | OSError](), list[tuple[str, str]](), list[str]()
        for name, value in (("_FOLDER", folder / "etc"), ("_MODEL", folder / "edge.json"), ("_SEE_SECONDS", 0.2), ("_LOOK_SECONDS", 0.05)):
            patch.setattr(edge, name, value)
        patch.setattr(edge.edge_admin, "load", self.load)
        patch.setattr(machine_docker, "ask", self.ask)
        patch.setattr(Edge, "asked", lambda _self, *_place, **_how: "")
        params = {"domain": "", "domain_aliases": None, "email": "", "acme_directory": "", "acme_authority": "", "edge_options": []}
        self.edge = Edge({**params, "trusted_proxies": [], "health_path": "/", "edge_image": IMAGE}, self.run)

    def load(self, path: str, text: str) -> str:
        self.asked.append((path, next(line for line in text.splitlines() if "reverse_proxy" in line).split()[1]))
        answer = self.answers.pop(0) if self.answers else ""
        if isinstance(answer, OSError):
            raise answer
        return answer

    def ask(self, _path: str) -> Any:
        return {"State": {"Running": True, "Pid": 7}, "Config": {"Image": IMAGE}} if self.runs else None

    def run(self, words: list[str], **_more: Any) -> tuple[int, str, str]:
        self.said.append(" ".join(words))
        return 1, "", "manifest unknown"


@pytest.fixture
def caddy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Caddy:
    found = Caddy(tmp_path, monkeypatch)
    edge.write(edge._MODEL, json.dumps(edge_model(IMAGE, migrates=edge._MIGRATES.exists())))
    found.edge.lead("first:80")
    found.asked.clear()
    return found


def leads_to() -> str:
    """Where the edge leads when it is started anew."""
    return next(line for line in (edge._FOLDER / "Caddyfile").read_text().splitlines() if "reverse_proxy" in line).split()[1]


def test_the_edge_is_asked_at_its_socket_and_again_where_it_has_just_been_started(caddy: Caddy):
    caddy.answers = [ConnectionRefusedError("refused"), ""]
    caddy.edge.lead("second:80")
    assert caddy.asked == [("/proc/7/root/run/caddy-admin.sock", "second:80")] * 2
    assert leads_to() == "second:80"


def test_one_that_does_not_take_its_configuration_says_so_and_leads_as_before(caddy: Caddy):
    caddy.answers = ["ambiguous site definition"]
    with pytest.raises(BerthError, match=r"the edge \(berth-edge\) does not take its configuration: ambiguous site definition"):
        caddy.edge.lead("second:80")
    assert [place for _path, place in caddy.asked] == ["second:80", "first:80"]
    assert leads_to() == "first:80"


def test_one_that_never_answers_is_told_of(caddy: Caddy):
    caddy.answers = [ConnectionRefusedError("refused")] * 99
    with pytest.raises(BerthError, match=r"the edge \(berth-edge\) does not answer: refused"):
        caddy.edge.lead("second:80")
    assert leads_to() == "first:80"


def test_one_that_cannot_be_started_is_not_waited_for(caddy: Caddy):
    caddy.runs = False
    with pytest.raises(BerthError, match="manifest unknown"):
        caddy.edge.lead("second:80")
    assert (caddy.asked, len(caddy.said), leads_to()) == ([], 1, "first:80")
