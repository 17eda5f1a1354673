"""How a Redis that several machines keep begins: it follows whoever leads, and leads only where no other one could."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

FILES = Path(__file__).parents[2] / "roles" / "redis_container" / "files"
# Answers for each of the others' Sentinels in turn, from a file of its address; what a failover makes of it comes in another one.
CLIENT = """#!/bin/sh
cd "$(dirname "$0")"
while [ $# -gt 0 ]; do
    case $1 in -h) host=$2; shift ;; SENTINEL) shift; break ;; ROLE) printf 'slave\\nhost\\n6379\\nconnected\\n7\\n'; exit ;; CONFIG) echo OK; exit ;; esac
    shift
done
[ -e "$host" ] || exit 1
case $1 in
    MASTER) printf 'name\\nberth\\nip\\n%s\\nport\\n6379\\nconfig-epoch\\n%s\\n' $(cat "$host") ;;
    FAILOVER) echo "$host" >> asked; if [ -e "$host.after" ]; then mv "$host.after" "$host"; echo OK; else echo "NOGOODSLAVE none"; fi ;;
esac
"""
OWN, ONE, TWO = "10.0.0.1", "10.0.0.2", "10.0.0.3"


class Machine:
    """A folder that stands for a machine's."""

    def __init__(self, folder: Path) -> None:
        self.data, self.conf, self.bin = (folder / name for name in ("data", "conf", "bin"))
        for each in (self.data, self.conf, self.bin):
            each.mkdir()
        (self.conf / "agreeing").write_text(f'address={OWN} port=6379 sentinel_port=26379\npeers="{ONE} {TWO}"\n')
        (self.conf / "sentinel").write_text("open sesame")
        self.program("client", CLIENT)
        self.program("docker-entrypoint.sh", '#!/bin/sh\necho "$*" "${REDISCLI_AUTH:-}"\n')
        (self.data / "appendonlydir").mkdir()

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def says(self, host: str, leads: str, epoch: int) -> None:
        (self.bin / host).write_text(f"{leads} {epoch}")

    def begin(self) -> tuple[int, list[str]]:
        """How it ends, and what its configuration says beside what it includes."""
        words = ["sh", str(FILES / "begin_redis.sh"), "server", str(self.bin / "client"), str(self.conf), str(self.data)]
        environment = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode == 0:
            assert done.stdout == f"server {self.data / 'berth.conf'} \n"
        said = (self.data / "berth.conf").read_text().splitlines() if done.returncode == 0 else [done.stderr]
        assert not any("open sesame" in line for line in said)
        return done.returncode, said[1:] if done.returncode == 0 else said


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_first_one_takes_writes(machine: Machine):
    assert machine.begin() == (0, [])


def test_where_nobody_answers_it_is_as_it_was(machine: Machine):
    (machine.data / "berth.conf").write_text(f"include x\nappendonly yes\nreplicaof {TWO} 6379\n")
    assert machine.begin() == (0, [f"replicaof {TWO} 6379", "replica-priority 0"])


def test_it_follows_whom_the_best_informed_takes_for_the_primary(machine: Machine):
    machine.says(ONE, OWN, 3)
    machine.says(TWO, TWO, 11)
    assert machine.begin() == (0, [f"replicaof {TWO} 6379", "replica-priority 0"])


def test_one_that_led_lets_another_lead_that_ran_meanwhile(machine: Machine):
    machine.says(ONE, OWN, 3)
    machine.says(f"{ONE}.after", TWO, 4)
    assert machine.begin() == (0, [f"replicaof {TWO} 6379", "replica-priority 0"])


def test_one_that_led_goes_on_where_no_other_could(machine: Machine):
    machine.says(ONE, OWN, 3)
    machine.says(TWO, OWN, 3)
    assert machine.begin() == (0, [])
    assert len((machine.bin / "asked").read_text().splitlines()) == 3


def test_one_that_led_and_lost_its_data_does_not_lead_with_none(machine: Machine):
    machine.says(ONE, OWN, 3)
    (machine.data / "appendonlydir").rmdir()
    code, said = machine.begin()
    assert code == 1
    assert "it is not begun empty" in said[0]


def test_a_sentinel_keeps_what_was_agreed_on_and_forgets_who_has_left(machine: Machine):
    own = machine.data / "sentinel.conf"
    own.write_text(
        f"port 0\nsentinel monitor berth {TWO} 6379 1\nsentinel config-epoch berth 4\nsentinel leader-epoch berth 4\nsentinel current-epoch 4\n"
        f"sentinel known-replica berth {ONE} 6379\nsentinel known-replica berth 10.0.0.9 6379\nsentinel known-sentinel berth {ONE} 26379 aa\n"
        "sentinel auth-pass berth old\n"
    )
    (machine.conf / "agreeing").write_text(f'addresses="{OWN} {ONE} {TWO}"\nquorum=2\n')
    (machine.conf / "sentinel.conf").write_text("port 0\nsentinel auth-pass berth new\n")
    words = ["sh", str(FILES / "begin_sentinel.sh"), "server", str(machine.conf), str(machine.data)]
    environment = {**os.environ, "PATH": f"{machine.bin}:{os.environ['PATH']}"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"server {own} --sentinel \n"
    assert own.read_text().splitlines() == [
        f"sentinel monitor berth {TWO} 6379 2",
        "port 0",
        "sentinel auth-pass berth new",
        "sentinel config-epoch berth 4",
        "sentinel leader-epoch berth 4",
        "sentinel current-epoch 4",
        f"sentinel known-replica berth {ONE} 6379",
        f"sentinel known-sentinel berth {ONE} 26379 aa",
    ]
    assert own.stat().st_mode & 0o777 == 0o600
