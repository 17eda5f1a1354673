"""What a store's container is told when its configuration changed: to read it again where that is enough, to start again where it is not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests import modules

# It writes down what it is asked, and which password it is given.
DOCKER = """#!/bin/sh
echo "$* (${REDISCLI_AUTH:-none})" >> %s
case "$1" in inspect) echo "sha256:1 redis:8 2026-01-01T00:00:00Z true" ;; run) id -u ;; esac
"""


class Store:
    """A folder that stands for a store's, and a Docker that only writes down what it is asked."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.log = folder, folder / "docker.log"
        (folder / "conf").mkdir()
        for name in ("compose.yaml", "server.key", "conf/redis.conf", "conf/users.acl"):
            (folder / name).write_text("first\n")
        (folder / "operator").write_text("open sesame")
        (folder / "bin").mkdir()
        (folder / "bin" / "docker").write_text(DOCKER % self.log)
        (folder / "bin" / "docker").chmod(0o755)
        patch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
        (folder / "cli-plugins").mkdir()
        (folder / "cli-plugins" / "docker-compose").write_text('#!/bin/sh\nexec docker compose "$@"\n')
        (folder / "cli-plugins" / "docker-compose").chmod(0o755)
        patch.setenv("DOCKER_CONFIG", str(folder))

    def keep(self, **more: Any) -> dict[str, Any]:
        """Run the module, with ``more`` parameters. Returns its answer."""
        self.log.write_text("")
        code, result, printed = modules.run(
            "store_container",
            {
                "project": str(self.folder / "compose.yaml"),
                "container": "store",
                "image": "redis:8",
                "user": "redis",
                "key": str(self.folder / "server.key"),
                "configuration": [str(self.folder / "conf")],
                "restart_files": [str(self.folder / "conf" / "redis.conf")],
                "reload_command": ["sh", "-c", "read it"],
                "reload_environment": {"REDISCLI_AUTH": str(self.folder / "operator")},
                **more,
            },
        )
        assert code == 0, printed
        assert "open sesame" not in printed
        return result

    def asked(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith("exec") or " restart " in line]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    found = Store(tmp_path, monkeypatch)
    found.keep()
    return found


def test_what_was_read_is_not_read_again(store: Store):
    assert (store.keep()["changed"], store.asked()) == (False, [])


def test_a_file_that_the_server_can_read_again_does_not_restart_it_and_the_password_stands_in_no_words(store: Store):
    (store.folder / "conf" / "users.acl").write_text("second\n")
    result = store.keep()
    assert (result["changed"], result["restarted"]) == (True, False)
    assert store.asked() == ["exec --env REDISCLI_AUTH --user redis store sh -c read it (open sesame)"]
    assert (store.keep()["changed"], store.asked()) == (False, [])


def test_a_file_that_the_server_reads_when_it_starts_restarts_it(store: Store):
    (store.folder / "conf" / "redis.conf").write_text("second\n")
    result = store.keep()
    assert (result["changed"], result["restarted"]) == (True, True)
    assert [line.split()[0] for line in store.asked()] == ["compose"]


def test_a_note_of_another_form_is_none(store: Store):
    (store.folder / "read").write_text("0123abcd")
    assert store.keep()["changed"]
    assert not store.keep()["changed"]


def test_a_server_that_may_not_be_stopped_is_told_what_it_can_be_told_and_the_rest_waits(store: Store):
    (store.folder / "conf" / "users.acl").write_text("third\n")
    # Compose would make it anew: it is of another configuration.
    script = store.folder / "bin" / "docker"
    script.write_text(script.read_text() + 'case "$*" in *"--hash"*) echo "redis 2222" ;; esac\n')
    result = store.keep(interrupt=False)
    assert (result["changed"], result["restarted"], result["waits"]) == (True, False, True)
    assert store.asked() == ["exec --env REDISCLI_AUTH --user redis store sh -c read it (open sesame)"]
    assert not any(" up " in line for line in store.log.read_text().splitlines())
    assert store.keep()["waits"] is False
    assert any(" up " in line for line in store.log.read_text().splitlines())


def test_a_file_that_takes_a_restart_waits_until_there_may_be_one(store: Store):
    for name in ("users.acl", "redis.conf"):
        (store.folder / "conf" / name).write_text("fourth\n")
    script = store.folder / "bin" / "docker"
    same = 'case "$*" in *config-hash*) echo sha256:1 2222; exit ;; image*) echo sha256:1 ;; *--hash*) echo redis 2222 ;; esac\n'
    script.write_text(script.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\n{same}"))
    result = store.keep(interrupt=False)
    assert (result["changed"], result["restarted"], result["waits"]) == (True, False, True)
    assert store.asked() == ["exec --env REDISCLI_AUTH --user redis store sh -c read it (open sesame)"]
    result = store.keep(interrupt=False)
    assert (result["changed"], result["waits"], store.asked()) == (False, True, [])
    result = store.keep()
    assert (result["restarted"], result["waits"]) == (True, False)
    assert (store.keep()["changed"], store.asked()) == (False, [])


def test_it_waits_until_the_server_is_what_it_has_to_be(store: Store):
    script = store.folder / "bin" / "docker"
    twice = f'case "$*" in *settled*) echo x >> {store.folder}/tries; [ $(wc -l < {store.folder}/tries) -gt 2 ]; exit ;; esac\n'
    script.write_text(script.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\n{twice}"))
    assert store.keep(ready_command=["settled"])["changed"] is False
    assert (store.folder / "tries").read_text().count("x") == 3
