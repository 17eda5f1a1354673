# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Caddy is told at the edge of a machine, and how its container runs. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from .release_model import EDGE_NETWORK

# At which a load balancer asks whether an app is well, whichever path of its own tells that: a release may have another one than the one before, and
# what asks for either would be told by one of them that it is not.
HEALTH = "/.berth/health"
# Where it is asked by who administers it, in its container.
ADMIN = "/run/caddy-admin.sock"
# What leads visitors on, at the edge of a machine and in an app.
IMAGE = "caddy:2.10.2"


def caddyfile(
    upstream: str,
    names: Sequence[str],
    options: Sequence[str],
    *,
    certified: Collection[str],
    proxies: Sequence[str] = (),
    health: str = "/",
) -> str:
    """The edge's configuration: all that comes is led to one upstream, ``host:port``.

    Caddy gets a certificate for each of the ``names``, by ``options``; of those that are ``certified``, HTTP is led to HTTPS. What ``proxies``,
    ranges of addresses, say of the visitor is believed. ``health``: the path of the app's own that :data:`HEALTH` is led to where no name is asked for.
    """
    waiting = [name for name in names if name not in certified]
    served = [name for name in names if name in certified]
    plain = ["auto_https disable_redirects"] if waiting else []
    settings = ["{", f"\tadmin unix/{ADMIN}", *(f"\t{each}" for each in [*plain, *options]), "}"]
    proxy = [
        f"\treverse_proxy {upstream} {{",
        *([f"\t\ttrusted_proxies {' '.join(proxies)}"] if proxies else []),
        # The front door's container may be a moment late to answer after a restart.
        "\t\tlb_try_duration 10s",
        "\t\tlb_try_interval 100ms",
        # Shorter than any server's own, so that none closes a connection that the edge is about to use; and a release that is left is soon
        # seen to be left.
        "\t\ttransport http {",
        "\t\t\tkeepalive 1s",
        "\t\t}",
        "\t}",
    ]
    # Where the app does not say it itself.
    headers = ["\theader ?X-Content-Type-Options nosniff", "\theader ?Referrer-Policy strict-origin-when-cross-origin"]
    # A browser that was told of HTTPS once asks for nothing else any more.
    secured = ["\theader ?Strict-Transport-Security max-age=31536000", *headers]
    well = [f"\t@health path {HEALTH}", f"\trewrite @health {health}"]
    sites = [":80 {", *well, *proxy, "}"] if not names else []
    if served:
        # Caddy leads HTTP to it by itself, but where that is off for the others.
        sites += [
            f"{', '.join(served)} {{" if not waiting else f"{', '.join(f'https://{each}' for each in served)} {{",
            *secured,
            *proxy,
            "}",
        ]
    if served and waiting:
        sites += [f"{', '.join(f'http://{each}' for each in served)} {{", "\tredir https://{host}{uri} 308", "}"]
    if waiting:
        sites += [f"{', '.join(f'https://{each}' for each in waiting)} {{", *headers, *proxy, "}", ":80 {", *headers, *proxy, "}"]
    return "\n".join([*settings, *sites, ""])


def edge_model(image: str, *, migrates: bool) -> dict[str, Any]:
    """The edge as a Compose project. ``migrates``: whether the kernel hands on connections that a socket which closes has not accepted yet.

    Caddy opens its sockets anew, beside the old ones, for each configuration; without that, who connects in the moment between is sent away.
    """
    return {
        "name": EDGE_NETWORK,
        "services": {
            "caddy": {
                "image": image,
                "container_name": EDGE_NETWORK,
                "restart": "unless-stopped",
                "cap_drop": ["ALL"],
                "cap_add": ["NET_BIND_SERVICE"],
                "security_opt": ["no-new-privileges:true"],
                "pids_limit": 1024,
                "read_only": True,
                "tmpfs": ["/tmp", "/run"],
                **({"sysctls": {"net.ipv4.tcp_migrate_req": "1"}} if migrates else {}),
                "ports": ["80:80", "443:443", "443:443/udp"],
                "networks": ["edge"],
                "volumes": [
                    {"type": "bind", "source": "/etc/berth/edge", "target": "/etc/caddy", "read_only": True},
                    {"type": "volume", "source": "data", "target": "/data"},
                    {"type": "volume", "source": "config", "target": "/config"},
                ],
            }
        },
        "networks": {"edge": {"name": EDGE_NETWORK, "external": True}},
        "volumes": {"data": {}, "config": {}},
    }
