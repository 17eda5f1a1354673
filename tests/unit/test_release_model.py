"""A release as a project that runs beside another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from berth import edge_files, machine_docker, postgres_tuning, registries, release_model

MODEL = {
    "services": {
        "web": {
            "image": "shop/web:1",
            "container_name": "web",
            "ports": [{"target": 80, "published": "8080"}, {"target": 9000, "published": "9000"}],
            "healthcheck": {"test": ["CMD", "true"], "start_period": "10s"},
            "environment": {"SSL_CERT_FILE": "/own.pem"},
        },
        "worker": {"image": "shop/worker:1", "volumes": [{"type": "volume", "source": "uploads", "target": "/uploads"}]},
    },
    "volumes": {"uploads": {}},
}


def test_nothing_of_a_release_can_be_had_only_once():
    model, lost = release_model.beside("shop", MODEL, "web", trust=["one"])
    named = release_model.named(model, "shop", "r1-0c1d")
    web = named["services"]["web"]
    assert named["name"] == "shop-r1-0c1d"
    assert "ports" not in web
    assert "container_name" not in web
    assert web["networks"] == {"default": None, "edge": {"aliases": ["shop-r1-0c1d"]}}
    assert named["networks"]["edge"] == {"name": "berth-edge", "external": True}
    assert named["volumes"]["uploads"]["name"] == "shop_uploads"
    assert {key: web["labels"][key] for key in ("org.berth.app", "org.berth.release")} == {
        "org.berth.app": "shop",
        "org.berth.release": "r1-0c1d",
    }
    assert any("9000" in line for line in lost)
    assert any("container_name" in line for line in lost)


def test_a_network_of_the_app_s_that_is_called_as_the_edge_s_is_the_release_s_own():
    given = {
        "services": {
            "web": {"image": "a", "networks": {"edge": None}, "ports": [{"target": 80}]},
            "api": {"image": "b", "networks": {"edge": None}},
        },
        "networks": {"edge": {"name": "edge", "external": True}, "edge-2": {}},
    }
    model, _lost = release_model.beside("shop", given, "web", trust=[])
    assert model["services"]["web"]["networks"] == {"edge": None, "edge-3": {"aliases": ["FRONT"]}}
    # Else names of two releases, and of two apps, would be asked for on one network.
    assert model["services"]["api"]["networks"] == {"edge": None}
    assert model["networks"] == {"edge": {}, "edge-2": {}, "edge-3": {"name": "berth-edge", "external": True}}


def test_a_front_door_with_https_of_its_own_is_told_who_answers_it():
    given = {"services": {"web": {"image": "a", "ports": [{"target": 80, "published": "80"}, {"target": 443, "published": "443"}]}}}
    _model, lost = release_model.beside("shop", given, "web", trust=[])
    assert len(lost) == 1
    assert "443 is not open" in lost[0]
    assert "app_domain" in lost[0]


def test_others_find_a_container_by_the_name_that_it_had():
    given = {
        "services": {
            "api": {"image": "a", "container_name": "shop-api", "networks": {"back": {"aliases": ["api.internal"]}, "front": None}}
        }
    }
    networks = release_model.beside("shop", given, None, trust=[])[0]["services"]["api"]["networks"]
    assert networks == {"back": {"aliases": ["api.internal", "shop-api"]}, "front": {"aliases": ["shop-api"]}}


def test_the_addresses_of_a_network_are_had_only_once():
    given = {
        "services": {"api": {"image": "a", "networks": {"back": {"ipv4_address": "172.28.0.5"}}}},
        "networks": {
            "back": {
                "driver_opts": {"com.docker.network.bridge.name": "shop0", "com.docker.network.driver.mtu": "1400"},
                "ipam": {"config": [{"subnet": "172.28.0.0/16"}]},
                "internal": True,
            },
        },
    }
    model, lost = release_model.beside("shop", given, None, trust=[])
    assert model["services"]["api"]["networks"] == {"back": None}
    assert model["networks"]["back"] == {"internal": True, "driver_opts": {"com.docker.network.driver.mtu": "1400"}}
    assert any("networks.back: its addresses are left out" in line for line in lost)


def test_what_a_service_says_of_its_own_authorities_stays():
    model, _lost = release_model.beside("shop", MODEL, "web", trust=["one"])
    assert model["services"]["web"]["environment"]["SSL_CERT_FILE"] == "/own.pem"
    assert model["services"]["worker"]["environment"]["PGSSLROOTCERT"] == release_model.AUTHORITIES
    assert model["services"]["web"]["healthcheck"]["start_interval"] == "1s"


def test_a_service_may_not_gain_privileges_or_start_processes_without_end_unless_it_says_so():
    given = {
        "services": {
            "web": {"image": "a"},
            "job": {"image": "a", "pids_limit": 9, "security_opt": ["no-new-privileges:false"]},
            "mail": {"image": "a", "security_opt": ["apparmor=mail"]},
            "cron": {"image": "a", "deploy": {"resources": {"limits": {"pids": 7}}}},
        }
    }
    services = release_model.beside("shop", given, None, trust=[])[0]["services"]
    assert (services["web"]["pids_limit"], services["web"]["security_opt"]) == (4096, ["no-new-privileges:true"])
    assert (services["job"]["pids_limit"], services["job"]["security_opt"]) == (9, ["no-new-privileges:false"])
    assert services["mail"]["security_opt"] == ["apparmor=mail", "no-new-privileges:true"]
    assert "pids_limit" not in services["cron"]


def test_a_store_that_each_machine_leads_to_itself_is_the_machine_that_a_container_runs_on():
    model, _lost = release_model.beside("shop", MODEL, "web", trust=[], on_machine=["berth-postgres"])
    assert all(each["extra_hosts"] == ["berth-postgres:host-gateway"] for each in model["services"].values())
    given = {"services": {"web": {"image": "a", "extra_hosts": ["berth-postgres=10.0.0.1"]}, "job": {"image": "a", "network_mode": "none"}}}
    model, _lost = release_model.beside("shop", given, None, trust=[], on_machine=["berth-postgres", "berth-redis"])
    assert model["services"]["web"]["extra_hosts"] == ["berth-postgres=10.0.0.1", "berth-redis:host-gateway"]
    assert "extra_hosts" not in model["services"]["job"]


def test_docker_takes_no_hosts_for_who_shares_another_ones_network():
    given = {"services": {"vpn": {"image": "a"}, "web": {"image": "a", "network_mode": "service:vpn"}}}
    services = release_model.beside("shop", given, None, trust=[], on_machine=["berth-redis"], hosts={"vpn": {"db": "10.1.0.2"}})[0][
        "services"
    ]
    assert services["vpn"]["extra_hosts"] == ["berth-redis:host-gateway", "db:10.1.0.2"]
    assert "extra_hosts" not in services["web"]


def test_another_authority_makes_another_release_which_reads_it_when_it_starts():
    one, two = (release_model.beside("shop", MODEL, "web", trust=[each])[0] for each in ("one", "two"))
    assert release_model.identifier("r1", one) != release_model.identifier("r1", two)
    none, _lost = release_model.beside("shop", MODEL, "web", trust=[])
    assert release_model.TRUST_LABEL not in none["services"]["web"]["labels"]


def test_nobody_waits_for_a_service_that_is_left_out():
    model = {
        "name": "shop",
        "services": {
            "web": {"depends_on": {"migrate": {"condition": "service_completed_successfully"}, "worker": {"condition": "service_started"}}},
            "worker": {"image": "worker"},
            "migrate": {},
        },
    }
    left = release_model.without(model, ["migrate", "nobody"])
    assert left == {
        "name": "shop",
        "services": {"web": {"depends_on": {"worker": {"condition": "service_started"}}}, "worker": {"image": "worker"}},
    }
    assert len(model["services"]) == 3


def test_a_release_is_told_from_another_by_all_that_it_runs_with():
    other = json.loads(json.dumps(MODEL))
    other["services"]["worker"]["environment"] = {"A": "1"}
    assert release_model.identifier("r1", MODEL) != release_model.identifier("r1", other)
    assert release_model.identifier("r1", MODEL) == release_model.identifier("r1", json.loads(json.dumps(MODEL)))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("write /var/lib/docker/x: no space left on device", "disk is full"),
        ("no matching manifest for linux/arm64 in the manifest list entries", "another architecture"),
        ("exec /app: exec format error", "another architecture"),
        ("Error response from daemon: unauthorized: authentication required", "app_registry_password"),
        ("all is well", ""),
        (
            "Error response from daemon: could not find an available, non-overlapping IPv4 address pool among the defaults to assign",
            "docker network prune",
        ),
    ],
)
def test_what_docker_says_is_told_in_words(said: str, words: str):
    assert words in machine_docker.meaning(said)


def test_credentials_are_there_for_a_while_beside_what_was_there(tmp_path, monkeypatch):
    own = tmp_path / "own"
    (own / "cli-plugins").mkdir(parents=True)
    (own / "config.json").write_text(json.dumps({"auths": {"a.example": {"auth": "b"}}, "credsStore": "desktop"}))
    monkeypatch.setenv("DOCKER_CONFIG", str(own))
    entries = registries.auths("r.example/team", "me", "pass:word")
    with registries.signed_in(entries) as environment:
        folder = environment["DOCKER_CONFIG"]
        found = json.loads((Path(folder) / "config.json").read_text())
        assert set(found["auths"]) == {"a.example", "r.example"}
        assert "credsStore" not in found
    assert not (tmp_path / folder).exists()
    assert "pass:word" in registries.passwords(entries)


@pytest.mark.parametrize("memory", [256, 1024, 4096, 65536])
def test_postgres_is_given_what_a_machine_has(memory: int):
    found = postgres_tuning.settings(memory, 4, 100, 50)
    shared, cache = (int(found[name].removesuffix("MB")) for name in ("shared_buffers", "effective_cache_size"))
    assert shared == memory // 4
    assert shared < cache < memory
    assert int(found["work_mem"].removesuffix("MB")) * 100 <= memory


def test_a_machine_that_is_too_small_is_said_so():
    with pytest.raises(ValueError, match="too little"):
        postgres_tuning.settings(64, 1, 100, 10)


def test_the_edge_leads_to_one_release_in_plain_http_without_a_domain():
    text = edge_files.caddyfile("shop-r1:80", [], [], certified=[], health="/up?quick")
    assert ":80 {" in text
    # What a load balancer asks at is the same for all releases.
    assert "\t@health path /.berth/health\n\trewrite @health /up?quick\n" in text
    assert "reverse_proxy shop-r1:80" in text


def test_with_a_domain_http_is_served_until_there_is_a_certificate():
    text = edge_files.caddyfile("shop-r1:80", ["shop.example.com"], ["email me@example.com"], certified=[])
    assert "\temail me@example.com\n" in text
    assert "https://shop.example.com {" in text
    assert "\n:80 {" in text
    assert "Strict-Transport-Security" not in text


def test_with_a_certificate_https_is_all_there_is():
    text = edge_files.caddyfile("shop-r1:80", ["shop.example.com"], [], certified=["shop.example.com"])
    assert "\nshop.example.com {" in text
    assert "Strict-Transport-Security" in text
    assert "\n:80 {" not in text


def test_of_several_names_each_has_https_once_it_has_its_certificate():
    names = ["shop.example.com", "www.example.com"]
    both = edge_files.caddyfile("shop-r1:80", names, [], certified=names)
    assert "\nshop.example.com, www.example.com {" in both
    assert "disable_redirects" not in both
    text = edge_files.caddyfile("shop-r1:80", names, [], certified=names[:1])
    assert "\nhttps://shop.example.com {" in text
    assert "\nhttp://shop.example.com {\n\tredir https://{host}{uri} 308\n}" in text
    assert "\nhttps://www.example.com {" in text and "\n:80 {" in text
    assert "\tauto_https disable_redirects" in text
    assert text.count("Strict-Transport-Security") == 1


def test_what_is_external_is_the_releases_own_or_is_made_under_its_name():
    given = {
        "services": {
            "web": {"image": "a", "networks": {"proxy": None}, "volumes": [{"type": "volume", "source": "media", "target": "/m"}]}
        },
        "networks": {"proxy": {"external": True, "name": "nginx-proxy"}, "swarm": {"driver": "overlay", "attachable": True}},
        "volumes": {"media": {"external": True, "name": "shop_media"}},
    }
    model, lost = release_model.beside("shop", given, None, trust=[])
    assert model["networks"] == {"proxy": {}, "swarm": {}}
    assert model["volumes"] == {"media": {"name": "shop_media"}}
    assert [each.split(":")[0] for each in lost] == ["volumes.media", "networks.proxy", "networks.swarm"]


def test_who_was_shut_in_with_a_store_gets_out_to_where_it_is_now():
    networks = {"data": {"internal": True}, "front": {}, "jobs": {"internal": True}}
    services = {
        "web": {"image": "a", "networks": {"front": None, "jobs": None}},
        "worker": {"image": "a", "networks": {"data": None}},
        "shut": {"image": "a", "networks": {"jobs": None}},
    }
    model, lost = release_model.beside("shop", {"services": services, "networks": networks}, None, trust=[], led_out=["web", "worker"])
    assert model["networks"] == {"data": {}, "front": {}, "jobs": {"internal": True}}
    assert lost == ["networks.data: it is internal, and is not here, since a store that was in it is outside it now"]
