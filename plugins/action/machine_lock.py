# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lock on a machine that lives as long as the run: held by a session on the machine, whose input a process here keeps open until the run is gone."""

from __future__ import annotations

import getpass
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Any, NoReturn

from ansible import constants, context
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

_FILE = "/run/berth.lock"
# How often the session hears that the run is there, and after how long without it the run is taken for gone.
_BEAT_SECONDS = 15
_GONE_SECONDS = 60
# The file is the lock, and says whose it is. Its last holder's words are left where nobody holds it, and mean nothing. What this run holds, by another
# host that asked at the same time, is no obstacle to it.
_HOLD = """
exec 9>>{file} || exit 1
until flock -n 9; do
  [ $? -eq 1 ] || exit 1
  if grep -qF {token} {file}; then echo ours; exit 0; fi
  if [ $SECONDS -ge {wait} ]; then echo busy; cat {file}; exit 0; fi
  sleep 0.1
done
printf '%s' {about} | sed "s/SESSION/$$/" >{file}
echo held
while read -r -t {gone}; do :; done
"""
_BREAK = "kill -9 {session} 2>/dev/null"


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of the module ``machine_lock``."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the lock, unless this run has it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _valid, given = self.validate_argument_spec({"wait": {"type": "int", "default": 5}})
        if self._task.check_mode or self._connection.transport not in ("ssh", "ansible.builtin.ssh"):
            return {**result, "changed": False, "skipped": True}
        try:
            self._take(given["wait"])
        except AnsibleConnectionFailure as problem:
            # What comes after says so, where it matters. To Ansible one that is unreachable would be the end of all, also where that is ignored.
            return {**result, "changed": False, "skipped": True, "skip_reason": str(problem)}
        return {**result, "changed": False}

    def _take(self, wait: int) -> None:
        # Each run has a folder of its own, which goes with it. Several hosts of an inventory may be one machine, and need not ask for it.
        noted = Path(constants.DEFAULT_LOCAL_TMP) / f"machine_lock-{self._address()}"
        if noted.exists():
            return
        holder = self._ask(wait)
        if holder and _is_over(holder):
            # Its session ends by itself within a minute, which nobody needs to wait for who knows.
            self._ask_once(_BREAK.format(session=int(holder["session"])))
            holder = self._ask(wait)
        if holder:
            raise AnsibleActionFail(
                f"{holder.get('who')} is at work on this machine, with {holder.get('what')} since {holder.get('since')} (process "
                f"{holder.get('process')}). Wait until that is over; where that run was cut off, its lock ends within a minute. Nothing was changed on it."
            )
        noted.touch()

    def _address(self) -> str:
        return str(self._connection.get_option("host") or self._play_context.remote_addr)

    def _ask(self, wait: int) -> dict[str, Any] | None:
        """Ask for the lock. Returns who has it, or None where this run has it now."""
        about = _about()
        told = {"about": shlex.quote(json.dumps(about)), "token": shlex.quote(json.dumps(about["run"]))}
        command = _HOLD.format(file=_FILE, wait=wait, gone=_GONE_SECONDS, **told)
        session, first, error = self._session(command)
        if first == "held":
            _keep(session, os.getppid())
            return None
        assert session.stdout
        rest = session.stdout.read().decode(errors="replace")
        code = session.wait()
        if first == "ours":
            return None
        if first == "busy":
            try:
                return dict(json.loads(rest))
            except ValueError:
                return {"who": "Somebody", "what": "a run", "since": "a moment ago", "process": "unknown"}
        said = error.read().decode(errors="replace").strip().splitlines()[-3:]
        if code == 255:
            raise AnsibleConnectionFailure(f"Failed to connect to the host via ssh: {' '.join(said)}")
        raise AnsibleActionFail(f"{_FILE} cannot be locked on the machine: {' '.join([first, *said])}")

    def _ask_once(self, command: str) -> None:
        session, _first, _error = self._session(command)
        assert session.stdin
        session.stdin.close()
        session.wait()

    def _session(self, command: str) -> tuple[subprocess.Popen[bytes], str, IO[bytes]]:
        """A command on the machine, the first line that it says, and its complaints."""
        connection = self._connection
        connection.host = self._address()
        words = connection._build_command(
            connection.get_option("ssh_executable"), "ssh", connection.host, f"bash -c {shlex.quote(command)}"
        )
        # Not by a pipe: a master connection that ssh leaves behind would keep it open.
        error = tempfile.TemporaryFile()  # noqa: SIM115 (closed with this process)
        session = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=error, start_new_session=True)
        assert session.stdout
        first = session.stdout.readline().decode(errors="replace").strip()
        error.seek(0)
        return session, first, error


def _about() -> dict[str, Any]:
    """Who holds the lock, for whom it is in the way of."""
    return {
        "who": f"{getpass.getuser()}@{socket.gethostname()}",
        "what": " ".join(Path(each).name for each in context.CLIARGS.get("args") or ()),
        "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "process": os.getppid(),
        "run": f"{socket.gethostname()}:{os.getppid()}",
        "session": "SESSION",
    }


def _is_over(holder: dict[str, Any]) -> bool:
    """Whether a run that holds a lock was one of this machine's, and is gone."""
    if holder.get("who") != _about()["who"] or not str(holder.get("session")).isdigit():
        return False
    try:
        os.kill(int(holder["process"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return False


def _keep(session: subprocess.Popen[bytes], run: int) -> None:
    """Keep a session's input open, by a process that nobody waits for, until a run is gone."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        assert session.stdin
        session.stdin.close()
        return
    try:
        os.setsid()
        if os.fork() == 0:
            _stay(session, run)
    finally:
        os._exit(0)


def _stay(session: subprocess.Popen[bytes], run: int) -> NoReturn:
    assert session.stdin
    assert session.stdout
    kept = {session.stdin.fileno(), session.stdout.fileno()}
    # What somebody else waits for, such as the end of this run's output, is not to be kept waiting.
    nothing = os.open(os.devnull, os.O_RDWR)
    for each in range(3):
        os.dup2(nothing, each)
    for name in os.listdir("/dev/fd"):
        if int(name) > 2 and int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                continue
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        while not _ends(run, _BEAT_SECONDS):
            os.write(session.stdin.fileno(), b"\n")
    except OSError:
        pass  # the session is gone, as when the machine is restarted
    os._exit(0)


def _ends(run: int, seconds: float) -> bool:
    """Whether a process is gone, or goes within some seconds."""
    if hasattr(os, "pidfd_open"):
        try:
            handle = os.pidfd_open(run)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([handle], [], [], seconds)[0])
        finally:
            os.close(handle)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(run, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.2)
    return False
