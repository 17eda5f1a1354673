"""What a mount of a Compose file is to another machine."""

from __future__ import annotations

import pytest
from berth.mount_kinds import is_installed

BUILD = {"dockerfile_inline": "FROM ruby\nWORKDIR /app\n"}


@pytest.mark.parametrize(
    ("target", "installed"),
    [
        ("/app/node_modules", True),
        ("/app/apps/web/node_modules/", True),
        ("/usr/local/bundle", True),
        ("/usr/local/lib/python3.13/site-packages", True),
        ("/app/vendor", True),
        ("/app/vendor/bundle", True),
        ("/app/venv", True),
        # What may be anybody's data.
        ("/data/vendor", False),
        ("/app/uploads/vendor", False),
        ("/app/vendor/invoices", False),
        ("/usr/local/tomcat/uploads", False),
        ("/usr/local/app/media", False),
        ("/usr/library", False),
        ("/app/storage", False),
    ],
)
def test_a_volume_is_left_out_where_the_image_surely_has_installed_what_it_hides(target: str, *, installed: bool):
    volume = {"type": "volume", "source": "some", "target": target}
    assert is_installed({"build": BUILD}, volume) == installed
    # Somebody else's image may be filled on the machine, and a folder of the project is no volume.
    assert not is_installed({"image": "ruby"}, volume)
    assert not is_installed({"build": BUILD}, {**volume, "type": "bind"})
