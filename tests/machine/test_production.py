"""The sample app's production images: TLS to both stores, and an end that loses no request."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rehearsal import images, projects
from tests.machine.conftest import APP, App, eventually, free_port

pytestmark = pytest.mark.docker
OVERRIDE = """
services:
  nginx:
    ports: !override ["127.0.0.1:{port}:80"]
  api: &tls
    environment: &environment
      PGSSLMODE: ${{TEST_SSLMODE:-verify-full}}
      PGSSLROOTCERT: /certificates/${{TEST_CA:-ca}}.pem
      REDIS_TLS: "true"
      REDIS_CA: /certificates/${{TEST_CA:-ca}}.pem
      REDIS_PASSWORD: of-the-test
    volumes: !override ["{folder}/ca.pem:/certificates/ca.pem:ro", "{folder}/other.pem:/certificates/other.pem:ro"]
  worker:
    <<: *tls
  postgres:
    command: [-c, ssl=on, -c, ssl_cert_file=/certificates/postgres.pem, -c, ssl_key_file=/certificates/postgres.key]
    volumes: ["{folder}:/certificates:ro"]
  redis:
    command: >-
      redis-server --port 0 --tls-port 6379 --tls-cert-file /certificates/redis.pem --tls-key-file /certificates/redis.key
      --tls-ca-cert-file /certificates/ca.pem --tls-auth-clients no --requirepass of-the-test
    volumes: ["{folder}:/certificates:ro"]
    healthcheck:
      test: [CMD, redis-cli, --tls, --cacert, /certificates/ca.pem, -h, localhost, -a, of-the-test, ping]
"""


def authority() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Berth's tests")])
    builder = _certificate(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()), key


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))


def issue(folder: Path, host: str, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, owner: int) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName(host), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = _certificate(subject, ca.subject, key).add_extension(x509.SubjectAlternativeName(names), critical=False)
    (folder / f"{host}.pem").write_bytes(certificate.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private = folder / f"{host}.key"
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    private.chmod(0o600)
    os.chown(private, owner, owner)


def user_of(image: str, user: str) -> int:
    command = ["docker", "run", "--rm", "--entrypoint", "id", image, "-u", user]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.fixture(scope="module")
def production(tmp_path_factory) -> Iterator[App]:
    if os.geteuid() != 0:
        pytest.skip("keys are handed to the servers' users, which only root can")
    folder = tmp_path_factory.mktemp("certificates")
    folder.parent.chmod(0o755)
    folder.chmod(0o755)
    images.ensure(["node:22-slim", "nginx:1.28", "postgres:17", "redis:8"])
    ca, ca_key = authority()
    other, _key = authority()
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "other.pem").write_bytes(other.public_bytes(serialization.Encoding.PEM))
    issue(folder, "postgres", ca, ca_key, user_of("postgres:17", "postgres"))
    issue(folder, "redis", ca, ca_key, user_of("redis:8", "redis"))
    port = free_port()
    override = folder / "override.yaml"
    override.write_text(OVERRIDE.format(port=port, folder=folder))
    name = "berth-test-production"
    projects.remember(name)
    files = [str(APP / "compose.yaml"), str(APP / "compose.production.yaml"), str(override)]
    app = App(name, f"http://127.0.0.1:{port}", dict(os.environ), files=files)
    try:
        app.compose("up", "--build", "--detach", "--wait", "--quiet-pull")
        eventually(app.ready)
        yield app
    finally:
        app.environment.pop("TEST_CA", None)
        app.compose("down", "--volumes", "--remove-orphans", "--timeout", "5", "--rmi", "local")


def test_both_stores_are_spoken_to_over_tls(production: App):
    production.submit(20)
    assert eventually(lambda: production.result(20)) == 10946
    query = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND client_addr IS NOT NULL"
    count = production.compose(
        "exec", "-T", "postgres", "psql", "--username", "postgres", "--no-align", "--tuples-only", "--command", query
    )
    assert int(count) > 0


def test_production_images_hold_no_mounted_source_and_run_as_a_user(production: App):
    assert production.compose("exec", "-T", "api", "id", "-un").strip() == "node"
    assert "--watch" not in production.compose("top", "api")


def test_a_store_with_another_authority_is_not_trusted(production: App):
    production.environment["TEST_CA"] = "other"
    try:
        production.compose("up", "--detach", "--no-deps", "api")
        _status, answer = eventually(lambda: (found := production.call("/readyz"))[0] == 503 and isinstance(found[1], dict) and found)
        assert "certificate" in answer["postgres"]
        assert answer["redis"] != "ok"
    finally:
        del production.environment["TEST_CA"]
        production.compose("up", "--detach", "--no-deps", "--wait", "api")
        production.compose("restart", "nginx")
        eventually(production.ready)


def test_a_request_in_flight_is_finished_before_the_api_ends(production: App):
    address = subprocess.run(
        ["docker", "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", f"{production.name}-api-1"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    body = b'{"index": 9}'
    with socket.create_connection((address, 5000), timeout=20) as connection:
        head = f"POST /api/values HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:5])
        time.sleep(0.5)
        stop = subprocess.Popen(["docker", "stop", "--time", "20", f"{production.name}-api-1"], stdout=subprocess.DEVNULL)
        try:
            time.sleep(1)
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((address, 5000), timeout=5)
            connection.sendall(body[5:])
            answer = connection.recv(4096).decode()
        finally:
            stop.wait(timeout=30)
    assert answer.startswith("HTTP/1.1 202")
    state = subprocess.run(
        ["docker", "inspect", "--format", "{{.State.ExitCode}}", f"{production.name}-api-1"], capture_output=True, text=True, check=True
    )
    assert state.stdout.strip() == "0"
    production.compose("start", "api")
    production.compose("restart", "nginx")
    eventually(production.ready)
    assert eventually(lambda: production.result(9)) == 55
