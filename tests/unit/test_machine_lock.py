from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """The action, with this machine's shell in place of a session on another one."""
    spec = importlib.util.spec_from_file_location("machine_lock", ROOT / "plugins" / "action" / "machine_lock.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_FILE", str(tmp_path / "lock"))
    return module


@pytest.fixture
def runs():
    """Processes that stand for runs of Ansible."""
    started: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["sleep", "120"]))
        return started[-1]

    yield begin
    for each in started:
        each.kill()
        each.wait()


def take(lock, run: int, monkeypatch, words=("sh", "-c"), wait: int = 1, host: str = "app-1") -> None:
    """Have a run take the lock, as the process that Ansible forks for a task does."""
    monkeypatch.setattr(lock.os, "getppid", lambda: run)
    # As Ansible has one for each run.
    own = Path(lock._FILE).with_name(f"run-{run}")
    own.mkdir(exist_ok=True)
    monkeypatch.setattr(lock.constants, "DEFAULT_LOCAL_TMP", str(own))
    action = lock.ActionModule.__new__(lock.ActionModule)
    action._play_context = SimpleNamespace(remote_addr="app-1")
    action._connection = SimpleNamespace(
        get_option=lambda name: host if name == "host" else name,
        host="",
        _build_command=lambda _executable, _what, _host, command: [*words, command],
    )
    action._take(wait)


def test_another_run_is_refused_and_told_whose_it_is_until_the_first_one_ends(lock, runs, monkeypatch):
    first, second = runs(), runs()
    monkeypatch.setattr(lock.context, "CLIARGS", {"args": ("/home/anna/berth/playbooks/site.yml",)})
    take(lock, first.pid, monkeypatch)
    with pytest.raises(AnsibleActionFail, match=rf"@.* is at work .* with site.yml since .* UTC \(process {first.pid}\)"):
        take(lock, second.pid, monkeypatch)
    first.terminate()
    first.wait()
    began = time.monotonic()
    take(lock, second.pid, monkeypatch, wait=10)
    assert time.monotonic() - began < 5


def test_a_machine_that_is_several_hosts_is_locked_once_as_long_as_the_run_lasts(lock, runs, monkeypatch):
    first, second = runs(), runs()
    for host in ("app-1", "db-1", "app-1"):
        began = time.monotonic()
        take(lock, first.pid, monkeypatch, wait=10, host=host)
        assert time.monotonic() - began < 5
    # What is noted needs no machine to answer.
    take(lock, first.pid, monkeypatch, words=("false",), host="db-1")
    with pytest.raises(AnsibleActionFail):
        take(lock, second.pid, monkeypatch)
    first.kill()
    take(lock, second.pid, monkeypatch, wait=10)


def test_a_run_that_is_killed_takes_its_lock_with_it(lock, runs, monkeypatch):
    first, second = runs(), runs()
    take(lock, first.pid, monkeypatch)
    first.kill()  # and not yet waited for: it is a zombie
    take(lock, second.pid, monkeypatch, wait=10)


def test_the_session_of_a_run_of_this_machine_that_is_gone_is_not_waited_for(lock, runs, monkeypatch, tmp_path):
    # As after a cut network: the run is over, and its session does not know.
    script = f"exec 9>>{tmp_path}/lock; flock 9; echo held; while read -r -t 60; do :; done"
    left = subprocess.Popen(["bash", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert left.stdout
    assert left.stdout.readline() == b"held\n"
    gone = subprocess.Popen(["true"])
    gone.wait()
    about = lock._about() | {"process": gone.pid, "session": str(left.pid)}
    (tmp_path / "lock").write_text(json.dumps(about))
    take(lock, runs().pid, monkeypatch)
    assert left.wait(5) == -9


def test_the_session_of_somebody_else_s_run_is_never_ended_from_here(lock):
    gone = subprocess.Popen(["true"])
    gone.wait()
    about = lock._about() | {"process": gone.pid, "session": str(os.getpid())}
    assert lock._is_over(about)
    assert not lock._is_over(about | {"who": "bert@elsewhere"})
    assert not lock._is_over(about | {"process": os.getpid()})
    assert not lock._is_over(about | {"session": "1; reboot"})


def test_a_machine_that_does_not_answer_is_unreachable_as_for_any_task(lock, runs, monkeypatch):
    with pytest.raises(AnsibleConnectionFailure, match="no route"):
        take(lock, runs().pid, monkeypatch, words=("sh", "-c", "echo no route >&2; exit 255"))


def test_one_that_does_not_answer_ends_no_run_on_the_others(lock, monkeypatch):
    monkeypatch.setattr(lock.ActionBase, "run", lambda *_given: {})
    action = lock.ActionModule.__new__(lock.ActionModule)
    action._task, action._connection = SimpleNamespace(check_mode=False), SimpleNamespace(transport="ssh")
    monkeypatch.setattr(action, "validate_argument_spec", lambda _spec: (None, {"wait": 5}))

    def gone(_wait: int) -> None:
        raise AnsibleConnectionFailure("no route")

    monkeypatch.setattr(action, "_take", gone)
    found = action.run()
    assert (found.get("skipped"), found["skip_reason"], found.get("unreachable")) == (True, "no route", None)


def test_a_machine_without_what_it_takes_says_so(lock, runs, monkeypatch):
    with pytest.raises(AnsibleActionFail, match=r"cannot be locked on the machine: .*flock"):
        take(lock, runs().pid, monkeypatch, words=("sh", "-c", "echo flock: not found >&2; exit 127"))
