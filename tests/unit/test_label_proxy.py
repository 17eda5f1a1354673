"""A proxy that reads other containers' labels is told when it starts what they say."""

from __future__ import annotations

from typing import Any

import pytest
from berth.edge_files import IMAGE
from berth.hidden_door import hidden_door
from berth.label_proxy import told_at_start
from berth.label_routes import read_routes
from berth.notes import Notes

SOCKET = [{"type": "bind", "source": "/var/run/docker.sock", "target": "/var/run/docker.sock"}]
TRAEFIK: dict[str, Any] = {"image": "traefik:v3.1", "volumes": SOCKET, "networks": {"web": None}}


def labels(router: str, rule: str, port: int | None = None, **more: str) -> dict[str, str]:
    found = {"traefik.enable": "true", f"traefik.http.routers.{router}.rule": rule}
    if port:
        found[f"traefik.http.services.{router}.loadbalancer.server.port"] = str(port)
    return found | {f"traefik.http.{name.replace('__', '.')}": text for name, text in more.items()}


def told(services: dict[str, Any], *keep: str) -> tuple[dict[str, Any], str, Notes]:
    """The services, what Caddy is told on one line, and the notes."""
    notes = Notes()
    found = told_at_start({"traefik": TRAEFIK, **services}, keep, notes)
    return found, " ".join(str((found["traefik"].get("environment") or {}).get("CADDYFILE", "")).split()), notes


def test_of_several_paths_the_longest_rule_leads_and_one_host_makes_no_difference():
    services = {
        "site": {"labels": labels("site", "Host(`shop.example.com`)", 3000)},
        "api": {
            "labels": labels(
                "api",
                "Host(`shop.example.com`) && PathPrefix(`/api`)",
                8000,
                routers__api__middlewares="strip@docker",
                middlewares__strip__stripprefix__prefixes="/api",
            )
        },
    }
    found, text, notes = told(services)
    assert found["traefik"]["image"] == IMAGE
    assert found["traefik"]["networks"] == {"web": None}
    assert [port["target"] for port in found["traefik"]["ports"]] == [80]
    assert "volumes" not in found["traefik"]
    assert "host" not in text.split(":80", 1)[1]
    api, site = text.index("reverse_proxy api:8000"), text.index("reverse_proxy site:3000")
    assert api < site
    assert (
        "path /api* } handle @led0 { uri strip_prefix /api reverse_proxy api:8000 { trusted_proxies private_ranges header_up X-Forwarded-Prefix /api }"
        in text
    )
    assert notes.warnings == [
        "traefik: Caddy stands in for it, and is told when it starts what the labels say: api and site are led to as there"
    ]


def test_of_several_hosts_the_one_above_the_others_is_also_for_those_without_a_name():
    services = {
        "backend": {"labels": labels("backend", "Host(`api.example.com`)", 8000)},
        "frontend": {"labels": labels("frontend", "Host(`example.com`)", 80)},
        "admin": {"labels": labels("admin", "Host(`admin.example.com`)", 8080)},
    }
    _found, text, notes = told(services)
    assert "host api.example.com } handle @led1 { reverse_proxy backend:8000" in text
    assert text.endswith("handle { reverse_proxy frontend:80 { trusted_proxies private_ranges } } respond 404 } }")
    assert "who comes by another name than admin.example.com and api.example.com is led as for example.com" in notes.warnings[0]
    services["frontend"]["labels"] = labels("frontend", "Host(`dashboard.example.com`)", 80)
    assert told(services)[1].endswith("handle { reverse_proxy frontend:80 { trusted_proxies private_ranges } } respond 404 } }")


def test_a_host_with_its_www_is_one_app():
    services = {"site": {"labels": labels("site", "Host(`example.com`) || Host(`www.example.com`)", 3000)}}
    assert "host" not in told(services)[1].split(":80", 1)[1]


def test_a_router_for_http_that_only_leads_to_https_is_no_other_route():
    rule = "Host(`a.example.com`)"
    both = labels("plain", rule, None, routers__plain__middlewares="tls", middlewares__tls__redirectscheme__scheme="https") | labels(
        "secure", rule, 3000
    )
    routes = read_routes({"traefik": TRAEFIK, "site": {"labels": both}}, "traefik")
    assert [(route.service, route.port) for route in routes.found] == [("site", 3000)]
    assert routes.problems == []


def test_what_is_described_elsewhere_before_plain_http_alone_is_taken_for_what_leads_to_https():
    rule = "Host(`a.example.com`)"
    plain = labels("plain", rule, None, routers__plain__middlewares="https-redirect", routers__plain__entrypoints="http")

    def found(secure: dict[str, str], plain: dict[str, str] = plain) -> tuple[list[int | None], int]:
        routes = read_routes({"traefik": TRAEFIK, "site": {"labels": plain | secure}}, "traefik")
        return [route.port for route in routes.found], len(routes.problems)

    open_by_https = labels("secure", rule, 3000, routers__secure__tls="true")
    assert found(open_by_https) == ([3000], 0)
    # Not where it comes by HTTPS as well, where nothing is open by HTTPS, where that is something else, and where it is guarded there.
    assert found(open_by_https, plain | {"traefik.http.routers.plain.entrypoints": "http,https"}) == ([None], 1)
    assert found(open_by_https, plain | {"traefik.http.routers.plain.tls": "true"}) == ([None], 1)
    assert found(labels("secure", rule, 3000)) == ([None], 1)
    assert found({}) == ([None], 1)
    other = labels("secure", "Host(`b.example.com`)", 3000, routers__secure__tls="true")
    assert sorted(found(other)[0], key=str) == [3000, None]
    assert found(open_by_https | {"traefik.http.routers.secure.middlewares": "guard@file"}) == ([None], 2)


def test_what_is_guarded_is_led_nowhere_and_that_is_said():
    services = {
        "site": {"labels": labels("site", "Host(`a`)", 3000)},
        "admin": {
            "labels": labels(
                "admin", "PathPrefix(`/admin`)", 80, routers__admin__middlewares="auth", middlewares__auth__basicauth__users="x:y"
            )
        },
        "tool": {"labels": labels("tool", "PathPrefix(`/tool`)", 80, routers__tool__middlewares="guard@file")},
        "odd": {"labels": labels("odd", "HostRegexp(`.+`)", 80)},
        "mute": {"labels": labels("mute", "PathPrefix(`/mute`)")},
    }
    found, text, notes = told(services)
    assert set(found) == {"traefik", *services}
    assert text.count("reverse_proxy") == 1
    # Nobody gets there by another route either.
    assert text.index("path /tool* } handle @led1 { respond 403 }") < text.index("reverse_proxy site")
    assert "path /admin* } handle @led0 { respond 403 }" in text
    assert "admin: the router admin is not carried: the middleware auth (basicauth) is not carried" in notes.uncarried
    assert any(
        "tool: the router tool is not carried: no label says what the middleware guard@file does" in each for each in notes.uncarried
    )
    assert any("odd: the router odd is not carried: HostRegexp" in each for each in notes.uncarried)
    assert any("mute: the router mute is not carried: no label, expose or EXPOSE" in each for each in notes.uncarried)


def test_no_other_router_of_the_same_service_opens_what_one_guards():
    rule = "Host(`a`)"
    guard = {"middlewares__auth__basicauth__users": "x:y"}
    plain = labels("plain", rule, 3000, routers__plain__middlewares="tls", middlewares__tls__redirectscheme__scheme="https")
    secure = labels("secure", rule, None, routers__secure__middlewares="auth", **guard)
    for both in (plain | secure, secure | plain):
        routes = read_routes({"traefik": TRAEFIK, "site": {"labels": both}}, "traefik").found
        assert [(route.service, route.port) for route in routes] == [("site", None)]
    admin = labels("admin", "Host(`a`) && PathPrefix(`/admin`)", None, routers__admin__middlewares="auth", **guard)
    other = {"labels": labels("other", "Path(`/other`)", 80)}
    text = told({"site": {"labels": labels("site", rule, 3000) | admin}, "other": other})[1]
    assert text.index("path /admin* } handle @led0 { respond 403 }") < text.index("reverse_proxy site:3000")
    # What of it is guarded cannot be read, so nothing of it is open.
    odd = labels("odd", "HostRegexp(`.+`)", None, routers__odd__middlewares="auth", **guard)
    text = told({"site": {"labels": labels("site", rule, 3000) | odd}, "other": other})[1]
    assert "reverse_proxy site" not in text


def test_what_does_not_ask_to_be_led_to_is_not_where_the_proxy_asks_for_that():
    site = {"labels": {label: text for label, text in labels("site", "Host(`a`)", 3000).items() if label != "traefik.enable"}}
    for told_by in (
        {"command": ["--providers.docker.exposedByDefault=false"]},
        {"environment": {"TRAEFIK_PROVIDERS_DOCKER_EXPOSEDBYDEFAULT": "false"}},
    ):
        assert read_routes({"traefik": {**TRAEFIK, **told_by}, "site": site}, "traefik").found == []
    assert len(read_routes({"traefik": TRAEFIK, "site": site}, "traefik").found) == 1


def test_what_is_not_at_the_web_s_entry_points_is_led_nowhere():
    command = ["--entryPoints.front.address=:8000", "--entrypoints.metrics.address=:9100"]
    proxy = {**TRAEFIK, "command": command, "ports": [{"target": 8000, "published": "80"}]}

    def problems(entries: str) -> list[tuple[str, str, str]]:
        site = {"labels": labels("site", "Host(`a`)", 3000, routers__site__entrypoints=entries)}
        return read_routes({"traefik": proxy, "site": site}, "traefik").problems

    assert [problems(each) for each in ("front", "metrics, front", "websecure")] == [[], [], []]
    assert problems("metrics") == [("site", "the router site", "visitors do not come in at metrics")]
    assert problems("mqtt")


def test_the_port_is_the_labels_or_the_lowest_that_is_exposed():
    services = {
        "traefik": TRAEFIK,
        "a": {"labels": labels("a", "Path(`/a`)"), "expose": ["9000", "8000/tcp"]},
        "b": {"labels": labels("b", "Path(`/b`)"), "ports": [{"target": 5000}]},
        "c": {"labels": labels("c", "Path(`/c`)"), "build": {"dockerfile_inline": "FROM node\nEXPOSE 3000 9229/tcp\n"}},
    }
    assert {route.service: route.port for route in read_routes(services, "traefik").found} == {"a": 8000, "b": 5000, "c": 3000}


def test_the_first_traefik_and_nginx_proxy_are_read_too():
    first = {
        "traefik.frontend.rule": "Host:a.example.com;PathPrefixStrip:/api",
        "traefik.port": "8000",
    }
    services: dict[str, Any] = {"traefik": TRAEFIK, "api": {"labels": first}}
    (route,) = read_routes(services, "traefik").found
    assert (route.service, route.port, route.strip, route.match.paths) == ("api", 8000, ("/api",), ("/api*",))
    guarded = {"traefik": TRAEFIK, "api": {"labels": first | {"traefik.frontend.auth.basic.users": "x:y"}}}
    assert read_routes(guarded, "traefik").problems
    notes = Notes()
    found = told_at_start(
        {
            "nginx-proxy": {"image": "nginxproxy/nginx-proxy:1.6", "volumes": SOCKET},
            "acme": {"image": "nginxproxy/acme-companion", "volumes": SOCKET},
            "site": {"environment": {"VIRTUAL_HOST": "example.com,www.example.com", "VIRTUAL_PORT": "3000"}},
            "api": {"environment": {"VIRTUAL_HOST": "example.com", "VIRTUAL_PATH": "/api/", "VIRTUAL_DEST": "/"}, "expose": ["8000"]},
        },
        (),
        notes,
    )
    text = found["nginx-proxy"]["environment"]["CADDYFILE"]
    assert "acme" not in found
    assert text.index("reverse_proxy api:8000") < text.index("reverse_proxy site:3000")
    assert "uri strip_prefix /api\n" in text


def test_what_is_not_told_by_labels_or_is_to_stay_stays_as_it_is():
    plain = {"traefik": {"image": "traefik", "volumes": []}, "site": {"labels": labels("site", "Host(`a`)", 3000)}}
    assert told_at_start(plain, (), Notes()) == plain
    services = {"site": {"labels": labels("site", "Host(`a`)", 3000)}}
    assert told(services, "traefik")[0]["traefik"] == TRAEFIK
    # Nothing that can be carried: as it was, and said.
    services = {"site": {"labels": labels("site", "HostRegexp(`.+`)", 3000)}}
    found, _text, notes = told(services)
    assert found["traefik"] == TRAEFIK
    assert "where it leads visitors cannot be read: site: the router site: HostRegexp" in notes.warnings[0]
    off = {"site": {"labels": {**labels("site", "Host(`a`)", 3000), "traefik.enable": "false"}}}
    assert told(off)[0]["traefik"] == TRAEFIK


def test_where_the_proxy_is_outside_one_is_added_for_several_services():
    services: dict[str, Any] = {
        "site": {"labels": labels("site", "Host(`example.com`)", 3000), "networks": {"web": None}},
        "api": {"labels": labels("api", "Host(`example.com`) && PathPrefix(`/api`)", 8000), "networks": {"web": None, "default": None}},
        "proxy": {"image": "squid"},
    }
    notes = Notes()
    found = told_at_start(services, (), notes)
    added = found["proxy-2"]
    assert added["networks"] == {"web": None, "default": None}
    assert added["environment"]["CADDYFILE"].count("reverse_proxy") == 2
    assert "Caddy stands in for the proxy outside of the project" in notes.warnings[0]
    assert told_at_start(services, (), Notes(), visited=False) == services
    one = {name: service for name, service in services.items() if name != "api"}
    assert told_at_start(one, (), Notes()) == one
    open_already = {**services, "proxy": {"image": "nginx", "ports": [{"target": 80, "published": "80"}]}}
    assert told_at_start(open_already, (), Notes()) == open_already


def test_labels_of_swarm_s_services_are_read_as_well():
    site = {"deploy": {"labels": labels("site", "Host(`example.com`)", 3000)}}
    api = {"deploy": {"labels": [f"{label}={text}" for label, text in labels("api", "PathPrefix(`/api`)", 8000).items()]}}
    routes = read_routes({"traefik": TRAEFIK, "site": site, "api": api}, "traefik")
    assert {(route.service, route.port) for route in routes.found} == {("site", 3000), ("api", 8000)}


def test_behind_a_proxy_outside_nobody_gets_past_a_guard_either():
    guard = {"routers__admin__middlewares": "auth", "middlewares__auth__basicauth__users": "x:y"}
    site = labels("site", "Host(`example.com`)", 3000)
    part = {"site": {"labels": site | labels("admin", "Host(`example.com`) && PathPrefix(`/admin`)", None, **guard)}}
    text = told_at_start(part, (), Notes())["proxy"]["environment"]["CADDYFILE"]
    assert text.index("respond 403") < text.index("reverse_proxy site:3000")
    whole = {"tool": {"labels": labels("admin", "Host(`example.com`)", 3000, **guard)}}
    notes = Notes()
    assert told_at_start(whole, (), notes) == whole
    assert "the middleware auth (basicauth) is not carried" in notes.warnings[0]
    assert hidden_door(whole, {}) is None
    assert hidden_door({"tool": {"labels": labels("tool", "HostRegexp(`.+`)", 3000)}}, {})


def test_what_routes_do_without_is_told_of():
    site = {
        "labels": labels(
            "site",
            "Host(`a`)",
            3000,
            routers__site__middlewares="slow,tls",
            middlewares__slow__rateLimit__average="9",
            middlewares__tls__redirectscheme__scheme="https",
        )
    }
    assert (
        "traefik: what the proxy does with slow (ratelimit) is not carried; let the app do it where it is needed"
        in told({"site": site})[2].warnings
    )


def caddied(services: dict[str, Any], **more: Any) -> tuple[dict[str, Any], str, Notes]:
    """The same beside a caddy-docker-proxy."""
    notes = Notes()
    proxy = {"image": "lucaslorentz/caddy-docker-proxy:2.9-alpine", "volumes": SOCKET, "labels": {"caddy.email": "me@example.com"}, **more}
    found = told_at_start({"caddy": proxy, **services}, [], notes)
    return found, " ".join(str((found["caddy"].get("environment") or {}).get("CADDYFILE", "")).split()), notes


def test_a_caddy_that_reads_labels_is_read_too():
    found, text, notes = caddied(
        {
            "web": {"labels": {"caddy": "shop.example.com", "caddy.reverse_proxy": "{{upstreams 3000}}", "caddy.encode": "gzip"}},
            "api": {
                "labels": {
                    "caddy_1": "https://shop.example.com",
                    "caddy_1.handle_path": "/api/*",
                    "caddy_1.handle_path.0_reverse_proxy": "{{ upstreams http 8000 }}",
                    "caddy_1.handle_path.0_reverse_proxy.header_up_1": "X-A b",
                    "caddy_1.1_reverse_proxy": "/socket* {{upstreams 8001}}",
                }
            },
            "files": {
                "deploy": {"labels": ["caddy=shop.example.com", "caddy.handle_0=/files/*", "caddy.handle_0.reverse_proxy={{upstreams}}"]}
            },
        }
    )
    assert found["caddy"]["image"] == IMAGE and "volumes" not in found["caddy"]
    assert "path /api/* } handle @led2 { uri strip_prefix /api reverse_proxy api:8000" in text
    assert "path /socket* } handle @led1 { reverse_proxy api:8001" in text
    assert "path /files/* } handle @led0 { reverse_proxy files:80" in text
    assert text.index("files:80") < text.index("api:8001") < text.index("api:8000") < text.index("web:3000")
    assert notes.warnings == [
        "caddy: Caddy stands in for it, and is told when it starts what the labels say: api, files and web are led to as there"
    ]


def test_what_guards_a_site_of_caddy_s_guards_it_for_all_who_have_it():
    web = {"labels": {"caddy": "shop.example.com", "caddy.reverse_proxy": "{{upstreams 3000}}"}}
    admin = {
        "labels": {
            "caddy": "shop.example.com",
            "caddy.handle_path": "/admin/*",
            "caddy.handle_path.0_basic_auth.me": "$2a$14$x",
            "caddy.handle_path.1_reverse_proxy": "{{upstreams 9000}}",
        }
    }
    _found, text, notes = caddied({"web": web, "admin": admin})
    assert "path /admin/* } handle @led0 { respond 403 }" in text and "reverse_proxy web:3000" in text
    assert "admin: the site shop.example.com is not carried: basic_auth may guard it, and is not carried" in notes.warnings
    # One container guards the whole site, and so what the other one has there.
    admin["labels"] |= {"caddy": "https://Shop.example.com", "caddy.import": "only-us"}
    found, _text, notes = caddied({"web": web, "admin": admin})
    assert found["caddy"]["image"].startswith("lucaslorentz/")
    assert any("import may guard it" in each for each in notes.warnings)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{{upstreams https 8443}}", "which is not carried, upstreams that speak HTTP alone are"),
        ("localhost:9000", "which is not carried, upstreams that speak HTTP alone are"),
        ("@ws {{upstreams 3000}}", "@ws is none"),
    ],
)
def test_what_of_caddy_s_is_not_carried_is_said(value: str, words: str):
    services = {
        "web": {"labels": {"caddy": "shop.example.com", "caddy.reverse_proxy": "{{upstreams 3000}}"}},
        "api": {"labels": {"caddy": "api.example.com", "caddy.reverse_proxy": value}},
    }
    _found, _text, notes = caddied(services)
    assert any(each.startswith("api: the site api.example.com is not carried") and words in each for each in notes.warnings), notes.warnings


def test_a_caddy_with_its_plugin_built_in_and_one_that_is_told_by_other_labels():
    services = {
        "web": {"labels": {"virtual.host": "shop.example.com", "virtual.alias": "www.shop.example.com", "virtual.port": "3000"}},
        "admin": {"labels": {"virtual.host": "admin.example.com", "virtual.auth.username": "me"}, "expose": ["80"]},
        "caddy-gen": {"image": "wemakeservices/caddy-gen:latest", "volumes": SOCKET},
    }
    notes = Notes()
    found = told_at_start(services, [], notes)
    text = " ".join(str(found["caddy-gen"]["environment"]["CADDYFILE"]).split())
    assert "host shop.example.com www.shop.example.com" in text and "reverse_proxy web:3000" in text and "respond 403" in text
    built = {
        "caddy": {"build": {"context": "/x"}, "volumes": SOCKET, "environment": {"CADDY_DOCKER_CADDYFILE_PATH": "/etc/caddy/Caddyfile"}},
        "web": {"labels": {"caddy": ":80", "caddy.reverse_proxy": "{{upstreams 3000}}"}},
    }
    found = told_at_start(built, [], notes)
    assert found["caddy"]["image"] == IMAGE and "reverse_proxy web:3000" in found["caddy"]["environment"]["CADDYFILE"]
    assert any(each.startswith("caddy: CADDY_DOCKER_CADDYFILE_PATH is not carried") for each in notes.warnings)


def test_behind_a_caddy_outside_the_one_with_a_site_is_the_front_door():
    services = {
        "web": {"labels": {"caddy": "shop.example.com", "caddy.reverse_proxy": "{{upstreams 3000}}"}, "image": "a"},
        "worker": {"image": "b"},
    }
    door = hidden_door(services, {})
    assert door and (door.name, door.port) == ("web", 3000)
