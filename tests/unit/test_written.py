"""What containers write into that is there after them."""

from __future__ import annotations

from typing import Any

import pytest
from berth.written import called, folders, scattered, written


def bind(source: str, *, read_only: bool = False) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": "/data", "read_only": read_only}


@pytest.mark.parametrize(
    ("source", "counts"),
    [
        ("/data/mysql", True),
        ("/var/lib/erpnext/sites", True),
        ("/home/shop/uploads", True),
        ("/srv/shop", True),
        # The machine's own, or Berth's.
        ("/", False),
        ("/var", False),
        ("/var/run/docker.sock", False),
        ("/var/lib/docker/volumes", False),
        ("/var/log/shop", False),
        ("/etc/letsencrypt", False),
        ("/srv/berth/shop", False),
        ("/srv", False),
        # Delivered with the release.
        ("./nginx.conf", False),
    ],
)
def test_a_folder_of_the_machine_holds_data_where_it_is_nobody_elses(source: str, *, counts: bool):
    assert folders({"volumes": [bind(source)]}) == ([source] if counts else [])
    assert folders({"volumes": [bind(source, read_only=True)]}) == []


MODEL: dict[str, Any] = {
    "services": {
        "web": {"volumes": [{"type": "volume", "source": "uploads", "target": "/uploads"}, bind("/data/exports")]},
        "proxy": {"volumes": [{"type": "volume", "source": "static", "target": "/static", "read_only": True}]},
        "assets": {"command": ["cp", "-r", "/build", "/static"], "volumes": [{"type": "volume", "source": "static", "target": "/static"}]},
        "cache": {"volumes": [{"type": "volume", "target": "/anonymous"}, {"type": "tmpfs", "target": "/tmp"}]},
    },
    "volumes": {"uploads": {"name": "shop_uploads"}, "static": {"name": "shop_static"}},
}


def test_what_runs_to_an_end_makes_anew_what_it_wrote():
    model = {**MODEL, "services": {**MODEL["services"], "assets": {**MODEL["services"]["assets"], "restart": "no"}}}
    web = {**model["services"]["web"], "depends_on": {"assets": {"condition": "service_completed_successfully"}}}
    model["services"] = {**model["services"], "web": web}
    assert written(model) == {"uploads", "/data/exports"}
    assert called(model) == {"shop_uploads", "/data/exports"}
    assert written({}) == called({}) == set()


def test_several_machines_are_told_that_each_has_its_own():
    assert scattered(MODEL, 1) == []
    (told,) = scattered({"services": {"web": MODEL["services"]["web"]}, "volumes": MODEL["volumes"]}, 2)
    assert "each of the 2 app machines has a /data/exports and a uploads of its own" in told
