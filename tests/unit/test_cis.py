"""What the CIS Docker Benchmark asks of an engine and its containers."""

from __future__ import annotations

import json
from typing import Any

from scan import cis

INFO = {
    "SecurityOptions": ["name=seccomp,profile=builtin"],
    "Driver": "overlay2",
    "LoggingDriver": "json-file",
    "LiveRestoreEnabled": True,
    "RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8"]},
}
DAEMON = {"icc": False, "no-new-privileges": True, "default-ulimits": {"nofile": {}}}
HOST: dict[str, Any] = {
    "CapDrop": ["ALL"],
    "Memory": 1 << 28,
    "CpuShares": 512,
    "ReadonlyRootfs": True,
    "PidsLimit": 100,
    "SecurityOpt": ["no-new-privileges:true"],
    "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
    "NetworkMode": "shop_default",
    "PortBindings": {"5432/tcp": [{"HostIp": "10.0.0.2", "HostPort": "5432"}]},
}


def container(**host: Any) -> dict[str, Any]:
    return {
        "Name": "/berth-postgres",
        "Config": {"User": "postgres", "Labels": {}},
        "State": {"Health": {"Status": "healthy"}},
        "AppArmorProfile": "docker-default",
        "Mounts": [{"Source": "/mnt/data/postgres", "Propagation": "rprivate"}],
        "HostConfig": {**HOST, **host},
    }


def found(
    *containers: dict[str, Any], daemon: dict[str, Any] = DAEMON, files: str = "", command: str = "/usr/sbin/dockerd -H fd://"
) -> list[str]:
    answers = {
        "info": json.dumps(INFO),
        "daemon": json.dumps(daemon),
        "command": command,
        "containers": json.dumps(containers),
        "files": files,
    }
    return [f"{each.test} {each.details}".strip() for each in cis.findings(answers)]


def test_an_engine_is_asked_for_what_it_lacks():
    assert found() == ["CIS-2.9", "CIS-2.12", "CIS-2.13", "CIS-2.16"]
    assert "CIS-2.7" in found(command="dockerd -H tcp://0.0.0.0:2375")
    assert {"CIS-2.2", "CIS-2.8", "CIS-2.14"} <= set(found(daemon={}))


def test_a_file_of_the_engines_that_others_may_write_is_found():
    lines = "/etc/docker root:root 755\n/etc/docker/daemon.json root:root 664\n/run/docker.sock root:docker 660"
    assert [each for each in found(files=lines) if each.startswith("CIS-3")] == ["CIS-3.17 /etc/docker/daemon.json root:root 664"]


def test_a_container_that_may_more_than_it_needs_is_found_by_its_name():
    assert not [each for each in found(container()) if each.startswith(("CIS-4", "CIS-5"))]
    ports = {"80/tcp": [{"HostIp": "", "HostPort": "80"}]}
    loose = container(Privileged=True, CapDrop=None, PidsLimit=None, PortBindings=ports, NetworkMode="host", Memory=0)
    assert [each for each in found(loose) if each.startswith("CIS-5")] == [
        f"CIS-5.{number} berth-postgres" for number in (3, 4, 7, 9, 10, 13, 28)
    ]


def test_a_container_of_a_release_is_called_by_its_service():
    one = container(Memory=0)
    one.update(Name="/shop-1a2b-web-1", Config={"User": "node", "Labels": {"org.berth.app": "shop", "com.docker.compose.service": "web"}})
    assert found(one)[-1] == "CIS-5.10 the app's web"
