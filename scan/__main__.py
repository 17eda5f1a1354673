"""`make scan`: strangers look at what Berth made in the rehearsal: Prowler at the account on AWS, Lynis at the droplets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("BERTH_REHEARSAL_STATE", str(Path(__file__).parent.parent / ".cache" / "rehearsal-of-scans"))
os.environ.setdefault("BERTH_REHEARSAL_SECONDS", "1")

from scan import account, machine

SCANS = {"aws": account.scan, "digitalocean": machine.scan}


def main(names: list[str]) -> int:
    """Scan the homes that are named, or all. Returns 1 where one has what it may not have."""
    unknown = sorted(set(names) - set(SCANS))
    if unknown:
        sys.exit(f"scan: there is no {', '.join(unknown)}; it is one of {', '.join(SCANS)}")
    return max(SCANS[name]() for name in names or SCANS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
