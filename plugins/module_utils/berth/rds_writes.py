# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How it is noted of an RDS instance that its database takes no writes: by a tag, since AWS does not know what is set in a database."""

from __future__ import annotations

from collections.abc import Callable

from .aws import AWS_ERRORS, remedy
from .problems import refuse

# Roles read it, and leave it.
TAG = "berth:closed"


def mark(arn: str, region: str) -> Callable[[bool], None]:
    """What notes whether the database of an instance takes writes. It raises :class:`BerthError`."""

    def move(allowed: bool) -> None:
        import boto3  # whoever moves no data from or to AWS needs none

        try:
            client = boto3.client("rds", region_name=region)
            if allowed:
                client.remove_tags_from_resource(ResourceName=arn, TagKeys=[TAG])
            else:
                client.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": TAG, "Value": "moved"}])
        except AWS_ERRORS as error:
            refuse(f"RDS instance {arn.rpartition(':')[2]}: {error}{remedy(error)}")

    return move
