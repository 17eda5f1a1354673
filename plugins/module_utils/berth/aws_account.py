# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who we are to AWS, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from .problems import BerthError, suggestion

# How regions are named: one that botocore does not know yet may be new.
_REGION = re.compile(
    r"(us|eu|ap|sa|ca|me|af|il|mx|cn)(-gov|-isob?)?-(north|south|east|west|central|northeast|northwest|southeast|southwest)-\d"
)


def check_region(region: str, known: Iterable[str]) -> None:
    """Raise :class:`BerthError` for a region that there cannot be."""
    names = list(known)
    if region not in names and not _REGION.fullmatch(region):
        raise BerthError(f"region: {region!r} is no region of AWS's{suggestion(region, names)} It comes from AWS_REGION or the profile")


class Account(NamedTuple):
    """Where the network is: the region by its zones, and the account's number."""

    region: str
    number: str
    zones: tuple[str, ...]

    @classmethod
    def of(cls, sts: Any, ec2: Any) -> Account:
        """Ask AWS who we are and where: the first call, so wrong credentials and regions show here."""
        number = str(sts.get_caller_identity(aws_retry=True)["Account"])
        filters = [{"Name": "opt-in-status", "Values": ["opt-in-not-required"]}, {"Name": "state", "Values": ["available"]}]
        zones = ec2.describe_availability_zones(aws_retry=True, Filters=filters)["AvailabilityZones"]
        return cls(
            str(zones[0]["RegionName"]), number, tuple(str(zone["ZoneName"]) for zone in zones if zone.get("ZoneType") != "local-zone")
        )
