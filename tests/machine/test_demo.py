"""`make demo` on this machine, through the app's front door."""

from __future__ import annotations

import re
import urllib.request

import pytest

from tests.machine.conftest import App, eventually

pytestmark = pytest.mark.docker


def changed(output: str) -> int:
    return sum(int(number) for number in re.findall(r"changed=(\d+)", output))


def test_the_last_line_is_the_url_of_the_page(demo: App):
    assert demo.output.rstrip().splitlines()[-1] == f"URL: {demo.url}"
    with urllib.request.urlopen(demo.url, timeout=10) as response:
        assert "<title>Fibonacci</title>" in response.read().decode()


def test_an_index_goes_in_and_a_number_comes_out(demo: App):
    demo.submit(20)
    assert eventually(lambda: demo.result(20)) == 10946


def test_a_second_run_changes_nothing_and_check_mode_says_so(demo: App):
    for options in ((), ("--check", "--diff")):
        done = demo.playbook("site.yml", *options)
        assert done.returncode == 0, done.stdout
        assert changed(done.stdout) == 0, done.stdout


def test_a_rollback_says_how_this_machine_goes_back(demo: App):
    done = demo.playbook("rollback.yml")
    assert done.returncode != 0
    assert "Check the older commit out there, and run playbooks/deploy.yml. Nothing was changed." in " ".join(done.stdout.split())


def test_the_status_is_a_table_with_the_url(demo: App):
    done = demo.playbook("status.yml")
    assert done.returncode == 0, done.stdout
    assert re.search(r"service +state +health +image +port +url", done.stdout)
    assert re.search(rf"nginx +running +healthy +\S+ +\d+:80 +{re.escape(demo.url)}", done.stdout)
    assert re.search(r"postgres +running +healthy", done.stdout)


@pytest.mark.parametrize(
    ("path", "body", "method", "raw", "status"),
    [
        ("/api/values", {"index": -1}, None, None, 400),
        ("/api/values", {"index": 1001}, None, None, 400),
        ("/api/values", {"index": 1.5}, None, None, 400),
        ("/api/values", {"index": "1; DROP TABLE indices"}, None, None, 400),
        ("/api/values", {"index": None}, None, None, 400),
        ("/api/values", {}, None, None, 400),
        ("/api/values", [], None, None, 400),
        ("/api/values", None, None, b"{", 400),
        ("/api/values", None, None, b'{"index": "' + b"9" * 4000 + b'"}', 413),
        ("/api/values", None, None, b"x" * 10000, 413),
        ("/api/values/nothing", None, None, None, 400),
        ("/api/values/999", None, None, None, 404),
        ("/api/values", None, "DELETE", None, 405),
        ("/api/nothing", None, None, None, 404),
    ],
)
def test_bad_input_is_answered_with_4xx(demo: App, path, body, method, raw, status):
    answered, answer = demo.call(path, body, method, raw)
    assert answered == status
    assert "stack" not in str(answer).lower()


def test_health_and_readiness(demo: App):
    assert demo.call("/healthz") == (200, {"status": "ok"})
    assert demo.call("/readyz") == (200, {"status": "ok", "postgres": "ok", "redis": "ok"})


@pytest.mark.parametrize("store", ["postgres", "redis"])
def test_the_app_says_which_store_is_away_and_comes_back_with_it(demo: App, store):
    demo.submit(30)
    eventually(lambda: demo.result(30))
    demo.compose("stop", store)
    _status, answer = eventually(lambda: (found := demo.call("/readyz"))[0] == 503 and found)
    assert answer[store] != "ok"
    assert demo.call("/healthz")[0] == 200
    assert demo.call("/api/values", {"index": 31})[0] == 503
    demo.compose("start", store)
    eventually(demo.ready)
    demo.submit(31)
    assert eventually(lambda: demo.result(31)) == 2178309
    assert eventually(lambda: demo.result(30)) == 1346269


def test_the_numbers_are_still_there_after_a_restart(demo: App):
    demo.submit(12)
    assert eventually(lambda: demo.result(12)) == 233
    demo.compose("restart")
    eventually(demo.ready)
    assert eventually(lambda: demo.result(12)) == 233


def test_lost_results_are_computed_again(demo: App):
    demo.submit(15)
    assert eventually(lambda: demo.result(15)) == 987
    demo.compose("exec", "-T", "redis", "redis-cli", "flushall")
    assert eventually(lambda: demo.result(15)) == 987


def test_destroy_keeps_the_data_unless_the_apps_name_is_given(demo: App):
    demo.submit(17)
    refused = demo.playbook("destroy.yml", "-e", "destroy_volumes=another-app")
    assert refused.returncode != 0
    assert "Nothing was removed" in refused.stdout + refused.stderr
    assert demo.ready()
    kept = demo.playbook("destroy.yml")
    assert kept.returncode == 0, kept.stdout
    assert "volumes are kept" in kept.stdout
    again = demo.playbook("site.yml")
    assert again.returncode == 0, again.stdout
    eventually(demo.ready)
    assert eventually(lambda: demo.result(17)) == 2584
