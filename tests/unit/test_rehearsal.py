from __future__ import annotations

import socket
import ssl
import threading

import pytest

from rehearsal import certificates, state
from rehearsal.images import stand_in_for, variant
from rehearsal.projects import base_images


@pytest.mark.parametrize(
    ("image", "folder"),
    [
        ("postgres:17", "postgres"),
        ("docker.io/library/node:22-slim", "node"),
        ("valkey/valkey:8", "valkey"),
        ("debian:trixie-slim", "debian"),
        ("mysql:8", "mariadb"),
        ("mongo:8", None),
        ("team/node:1", None),
    ],
)
def test_stand_ins_are_for_official_images(image, folder):
    assert stand_in_for(image) == folder


@pytest.mark.parametrize(
    ("image", "major"),
    [
        ("postgres:15", "15"),
        ("docker.io/library/postgres:15.14-bookworm", "15"),
        ("127.0.0.1:5000/postgres:15.1", None),
        ("postgres:17.7", None),
        ("postgres", None),
        ("redis:15", None),
    ],
)
def test_an_older_major_release_is_stood_in_for_by_an_older_debian(image, major):
    assert variant(image).get("MAJOR") == major


def test_base_images_are_read_from_services_and_dockerfiles(tmp_path):
    (tmp_path / "Dockerfile").write_text(
        "ARG V=20\nFROM node:${V}-slim AS build\nRUN x\nFROM build AS test\nFROM --platform=linux/amd64 nginx:1\n"
    )
    model = {
        "services": {
            "web": {"image": "shop", "build": {"context": str(tmp_path), "args": {"V": "22"}}},
            "worker": {"image": "shop"},
            "db": {"image": "postgres:17"},
            "other": {"image": "postgres:17"},
        }
    }
    assert base_images(model) == ["postgres:17", "node:22-slim", "nginx:1"]
    model["services"]["backup"] = {"image": "postgres:16", "command": ["crond", "-f"]}
    assert base_images(model, backing=False, built=False) == ["postgres:16"]


def test_in_production_another_image_stands_in_for_a_proxy_that_reads_labels():
    socket = [{"type": "bind", "source": "/var/run/docker.sock", "target": "/var/run/docker.sock"}]
    labels = {"traefik.http.routers.site.rule": "Host(`a`)", "traefik.http.services.site.loadbalancer.server.port": "80"}
    model = {"services": {"proxy": {"image": "traefik:v3", "volumes": socket}, "site": {"image": "nginx:1", "labels": labels}}}
    assert base_images(model) == ["traefik:v3", "nginx:1"]
    assert base_images(model, backing=False) == ["caddy:2.10.2", "nginx:1"]


def test_certificates_satisfy_strict_clients(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "FOLDER", tmp_path)
    certificate, key = certificates.issue("shop.cache.example.com", ["127.0.0.1"])
    pair = tmp_path / "pair.pem"
    pair.write_bytes(certificate + key)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pair)
    asking = ssl.create_default_context(cafile=str(certificates.authority()))
    asking.verify_flags |= ssl.VERIFY_X509_STRICT
    left, right = socket.socketpair()
    server = threading.Thread(target=lambda: serving.wrap_socket(left, server_side=True).close())
    server.start()
    with asking.wrap_socket(right, server_hostname="shop.cache.example.com") as talk:
        assert talk.version() == "TLSv1.3"
    server.join()
