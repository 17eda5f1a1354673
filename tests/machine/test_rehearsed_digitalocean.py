"""The rehearsed DigitalOcean, through the client that its users have."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import docker.errors
import pydo
import pytest
from azure.core.exceptions import HttpResponseError, ServiceResponseError
from docker.types import IPAMConfig, IPAMPool

from rehearsal import containers, faults, server, stack
from rehearsal.digitalocean import api
from tests.machine.conftest import Cloud, eventually

pytestmark = pytest.mark.docker
TAG = "told-by-tests"
SCRIPT = "#!/bin/sh\necho made by a script > /root/told\n"


def refusal(call: Any, *arguments: Any, **given: Any) -> tuple[int, str]:
    """Status and message of a request that is refused."""
    with pytest.raises(HttpResponseError) as caught:
        answer = call(*arguments, **given)
        # The client returns some refusals as answers.
        error = HttpResponseError(message=answer.get("message"))
        error.status_code = {"not_found": 404}.get(answer.get("id"), 0)
        raise error
    return int(caught.value.status_code or 0), str(caught.value.message)


@pytest.fixture(scope="module")
def account(cloud: Cloud) -> Any:
    assert cloud.environment
    server.digitalocean()
    return stack.account()


@pytest.fixture(scope="module")
def droplet(account: Any) -> Iterator[dict[str, Any]]:
    key = Path(server.environment()["BERTH_SSH_KEY"] + ".pub").read_text()
    there = [each["id"] for each in account.ssh_keys.list()["ssh_keys"] if each["public_key"].split()[1] == key.split()[1]]
    number = there[0] if there else account.ssh_keys.create(body={"name": "tests", "public_key": key})["ssh_key"]["id"]
    body = {"name": "told", "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-13-x64", "ssh_keys": [number]}
    made = account.droplets.create(body={**body, "tags": [TAG], "user_data": SCRIPT})["droplet"]
    yield eventually(lambda: active(account, made["id"]), 90)
    account.droplets.destroy(made["id"])


def active(account: Any, number: int) -> dict[str, Any] | None:
    found = account.droplets.get(number)["droplet"]
    return found if found["status"] == "active" and not found["locked"] else None


def address(droplet: dict[str, Any], kind: str = "public") -> str:
    return next(each["ip_address"] for each in droplet["networks"]["v4"] if each["type"] == kind)


def on(droplet: dict[str, Any], command: str, host: str | None = None) -> str:
    words = ["ssh", "-i", server.environment()["BERTH_SSH_KEY"], "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    done = subprocess.run([*words, f"root@{host or address(droplet)}", command], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout


def through(account: Any, started: dict[str, Any]) -> None:
    eventually(lambda: account.actions.get(started["action"]["id"])["action"]["status"] == "completed", 60)


def reached(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def test_lists_come_in_pages_with_links_and_the_rate_limit_is_told(account: Any):
    first = account.sizes.list(per_page=2)
    assert len(first["sizes"]) == 2
    assert "page=2" in first["links"]["pages"]["next"]
    assert first["meta"]["total"] > 2
    assert account.sizes.list(per_page=2, page=2)["sizes"] != first["sizes"]
    found = server.environment()
    request = urllib.request.Request(f"{found['DIGITALOCEAN_API_URL']}/v2/account")
    request.add_header("Authorization", f"Bearer {found['DIGITALOCEAN_TOKEN']}")

    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=found["REQUESTS_CA_BUNDLE"])) as answer:
        assert int(answer.headers["ratelimit-remaining"]) < int(answer.headers["ratelimit-limit"])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"size": "s-9vcpu-1gb"}, "invalid size"),
        ({"region": "atlantis1"}, "invalid region"),
        ({"image": "windows-95"}, "invalid image"),
        ({"name": "not a name"}, "valid hostname characters"),
        ({"ssh_keys": [17]}, "invalid key identifiers"),
    ],
)
def test_a_droplet_that_cannot_be_had_is_refused(account: Any, more: dict[str, Any], words: str):
    body = {"name": "told", "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-13-x64", **more}
    status, said = refusal(account.droplets.create, body=body)
    assert status == 422
    assert words in said


def test_what_is_not_there_is_not_found(account: Any):
    assert refusal(account.droplets.get, 1)[0] == 404
    assert refusal(account.volumes.get, "00000000-0000-0000-0000-000000000000")[0] == 404


def test_bad_days_are_such_for_its_own_client(account: Any):
    faults.add("throttle", operation="digitalocean:GET /v2/vpcs", times=1)
    faults.add("error", operation="digitalocean:GET /v2/vpcs", times=1)
    # It waits as long as it is told, and asks again.
    assert "vpcs" in account.vpcs.list()
    assert [each["done"] for each in faults.clear()] == [1, 1]
    faults.add("deny", operation="digitalocean:POST *")
    body = {"name": "bad-day", "region": "fra1", "ip_range": "10.251.32.0/24"}
    assert refusal(account.vpcs.create, body=body) == (403, ANY)
    faults.clear()
    faults.add("lose", operation="digitalocean:POST /v2/vpcs", times=1)
    try:
        with pytest.raises(ServiceResponseError):
            account.vpcs.create(body=body)
        found = [each for each in account.vpcs.list()["vpcs"] if each["name"] == "bad-day"]
        assert len(found) == 1
        account.vpcs.delete(found[0]["id"])
    finally:
        faults.clear()


def test_a_network_that_an_abandoned_rehearsal_left_is_in_nobodys_way(account: Any):
    engine, there = containers.client(), []
    for name, subnet, labels in (
        ("berth-test-left", "10.251.16.0/24", {f"{containers.LABEL}.of": "berth-test-gone"}),
        ("berth-test-another", "10.251.17.0/24", {}),
    ):
        # Of a run that was cut off.
        for left in engine.networks.list(names=[name]):
            left.remove()
        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)])
        there.append(engine.networks.create(name, ipam=ipam, labels=labels))
    body = {"name": "in-the-way", "region": "fra1"}
    try:
        number, said = refusal(account.vpcs.create, body={**body, "ip_range": "10.251.17.0/24"})
        assert number == 422 and "network of this machine" in said
        vpc = account.vpcs.create(body={**body, "ip_range": "10.251.16.0/24"})["vpc"]
        account.vpcs.delete(vpc["id"])
        assert [each.name for each in engine.networks.list(names=["berth-test-left", "berth-test-another"])] == ["berth-test-another"]
    finally:
        for each in there:
            with contextlib.suppress(docker.errors.NotFound):
                each.remove()


def test_a_droplet_is_a_machine_that_its_user_data_has_prepared(account: Any, droplet: dict[str, Any]):
    assert on(droplet, "hostname").strip() == "told"
    assert eventually(lambda: on(droplet, "cat /root/told")).strip() == "made by a script"
    assert on(droplet, "systemctl is-system-running; cat /proc/1/comm").split()[-1] == "systemd"
    assert account.droplets.list(tag_name=TAG)["droplets"][0]["id"] == droplet["id"]
    assert account.droplets.list(tag_name="another")["droplets"] == []


def test_a_droplet_is_renamed_and_resized_only_when_it_is_off(account: Any, droplet: dict[str, Any]):
    number = droplet["id"]
    through(account, account.droplet_actions.post(number, body={"type": "rename", "name": "told-anew"}))
    assert account.droplets.get(number)["droplet"]["name"] == "told-anew"
    larger = {"type": "resize", "size": "s-1vcpu-2gb"}
    status, said = refusal(account.droplet_actions.post, number, body=larger)
    assert (status, "must be powered off" in said) == (422, True)
    through(account, account.droplet_actions.post(number, body={"type": "power_off"}))
    through(account, account.droplet_actions.post(number, body=larger))
    through(account, account.droplet_actions.post(number, body={"type": "power_on"}))
    assert account.droplets.get(number)["droplet"]["memory"] == 2048


def test_a_volume_keeps_what_is_on_it_grows_and_is_copied_by_a_snapshot(account: Any, droplet: dict[str, Any]):
    made = account.volumes.create(body={"name": "told", "region": "fra1", "size_gigabytes": 1, "filesystem_type": "xfs"})["volume"]
    attach = {"type": "attach", "droplet_id": droplet["id"]}
    through(account, account.volume_actions.post_by_id(made["id"], body=attach))
    device = "/dev/disk/by-id/scsi-0DO_Volume_told"
    assert on(droplet, f"mount {device} /mnt && echo kept > /mnt/file && sync && cat /mnt/file").strip() == "kept"
    assert refusal(account.volumes.delete, made["id"])[0] == 409
    through(account, account.volume_actions.post_by_id(made["id"], body={"type": "resize", "size_gigabytes": 2}))
    assert on(droplet, f"blockdev --getsize64 {device}").strip() == str(2 * 1024**3)
    on(droplet, "umount /mnt")
    snapshot = account.volume_snapshots.create(made["id"], body={"name": "then"})["snapshot"]
    through(account, account.volume_actions.post_by_id(made["id"], body={"type": "detach", "droplet_id": droplet["id"]}))
    copy = account.volumes.create(body={"name": "copy", "region": "fra1", "size_gigabytes": 2, "snapshot_id": snapshot["id"]})["volume"]
    account.volumes.delete(made["id"])
    through(account, account.volume_actions.post_by_id(copy["id"], body=attach))
    assert on(droplet, "mount /dev/disk/by-id/scsi-0DO_Volume_copy /mnt && cat /mnt/file; umount /mnt").strip() == "kept"
    through(account, account.volume_actions.post_by_id(copy["id"], body={"type": "detach", "droplet_id": droplet["id"]}))
    account.volumes.delete(copy["id"])
    account.snapshots.delete(snapshot["id"])


def test_a_firewall_filters_and_a_reserved_address_leads_to_the_droplet(account: Any, droplet: dict[str, Any]):
    on(droplet, "systemd-run --unit=web python3 -m http.server 8080")
    eventually(lambda: reached(address(droplet), 8080))
    here = {"addresses": ["0.0.0.0/0", "::/0"]}
    rules = {"inbound_rules": [{"protocol": "tcp", "ports": "22", "sources": here}], "outbound_rules": []}
    wall = account.firewalls.create(body={"name": "told", "tags": [TAG], **rules})["firewall"]
    reserved = account.reserved_ips.create(body={"region": "fra1"})["reserved_ip"]["ip"]
    through(account, account.reserved_ips_actions.post(reserved, body={"type": "assign", "droplet_id": droplet["id"]}))
    assert on(droplet, "hostname", reserved).strip() != ""
    assert not reached(reserved, 8080)
    assert not reached(address(droplet), 8080)
    account.firewalls.delete(wall["id"])
    eventually(lambda: reached(reserved, 8080))
    account.reserved_ips.delete(reserved)
    assert not reached(reserved, 8080)


def test_what_another_token_may_not_do_is_said(account: Any):
    found = server.environment()
    for token, status in ((api.READ_TOKEN, 403), ("dop_v1_nobody", 401)):
        other = pydo.Client(token, endpoint=found["DIGITALOCEAN_API_URL"], retry_total=0)
        assert refusal(other.tags.create, body={"name": "none"})[0] == status
    assert "none" not in [each["name"] for each in account.tags.list(per_page=200)["tags"]]


def test_a_name_has_one_record_whatever_it_led_to_before(account: Any, cloud: Cloud):
    zone = "example.net"
    account.domains.create(body={"name": zone})

    def leads(kind: str, data: str, **more: Any) -> dict[str, Any]:
        return cloud.succeed("digitalocean_record", {"name": f"shop.{zone}", "zone": zone, "type": kind, "data": data, **more}, "--diff")

    def records() -> list[tuple[str, str, int]]:
        found = account.domains.list_records(zone, name=f"shop.{zone}")["domain_records"]
        return [(each["type"], each["data"], each["ttl"]) for each in found]

    try:
        assert leads("A", "192.0.2.1")["changed"]
        assert records() == [("A", "192.0.2.1", 60)]
        account.domains.create_record(zone, body={"type": "A", "name": "shop", "data": "192.0.2.9"})
        account.domains.create_record(zone, body={"type": "TXT", "name": "shop", "data": "kept"})
        assert leads("A", "192.0.2.2")["changed"]
        assert sorted(records()) == [("A", "192.0.2.2", 60), ("TXT", "kept", 1800)]
        assert not leads("A", "192.0.2.2")["changed"]
        account.domains.delete_record(zone, account.domains.list_records(zone, type="TXT")["domain_records"][0]["id"])
        number = account.domains.list_records(zone)["domain_records"][0]["id"]
        assert leads("CNAME", "shop.eu-central-1.elasticbeanstalk.com")["changed"]
        assert records() == [("CNAME", "shop.eu-central-1.elasticbeanstalk.com.", 60)]
        # In one step: it is the same record.
        assert account.domains.list_records(zone)["domain_records"][0]["id"] == number
        assert not leads("CNAME", "shop.eu-central-1.elasticbeanstalk.com")["changed"]
        assert leads("A", "192.0.2.3", ttl=30)["changed"]
        assert records() == [("A", "192.0.2.3", 30)]
        for given, words in (
            ({"name": "shop.example.org"}, "is not in the zone example.net"),
            ({"zone": "org", "name": "x.org"}, "the account keeps no domain org; it keeps example.net"),
            ({"name": zone, "type": "CNAME"}, "can have no CNAME; choose a name in it, such as www.example.net"),
        ):
            code, result, _said = cloud.module(
                "digitalocean_record", {"name": "a.example.net", "zone": zone, "type": "A", "data": "x", **given}
            )
            assert code != 0
            assert words in result["msg"]
    finally:
        account.domains.delete(zone)
