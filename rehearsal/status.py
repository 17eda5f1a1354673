"""What stands in the rehearsal: its server, and the resources behind which something runs."""

from __future__ import annotations

from . import containers, server, state


def show() -> int:
    """Print the server's endpoint and its containers by kind. Returns the exit code: 0 when it runs, 3 when not."""
    where = server.endpoint()
    if where is None:
        print("The rehearsal does not run; python -m rehearsal up starts it.")
        return 3
    print(f"AWS          {where}")
    print(f"DigitalOcean {(state.read(state.SERVER) or {}).get('digitalocean')}")
    for container in sorted(containers.find(), key=lambda each: str(each.name)):
        networks = container.attrs["NetworkSettings"]["Networks"]
        address = (networks.get(containers.NETWORK) or {}).get("IPAddress") or "-"
        print(f"{container.labels[containers.LABEL]:12} {container.name:48} {container.status:10} {address}")
    return 0
