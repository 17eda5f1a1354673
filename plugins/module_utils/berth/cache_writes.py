# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How an ElastiCache group is kept from taking writes: it knows no CONFIG, and its parameter group does the same for all of its nodes.

The parameter takes effect at once (https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/ParameterGroups.Engine.html).
"""

from __future__ import annotations

from collections.abc import Callable

from .aws import AWS_ERRORS, remedy
from .problems import refuse

_PARAMETER = "min-replicas-to-write"
# A group has five replicas at most.
_CLOSED = "6"


def gate(parameter_group: str, region: str) -> Callable[[bool], None]:
    """What lets the groups of a parameter group take writes, or not. It raises :class:`BerthError`."""

    def move(allowed: bool) -> None:
        import boto3  # whoever moves no data from or to AWS needs none

        given = {"ParameterName": _PARAMETER, "ParameterValue": "0" if allowed else _CLOSED}
        try:
            client = boto3.client("elasticache", region_name=region)
            client.modify_cache_parameter_group(CacheParameterGroupName=parameter_group, ParameterNameValues=[given])
            if allowed:
                # Back to what it was before, so that nothing is left of the move.
                client.reset_cache_parameter_group(CacheParameterGroupName=parameter_group, ParameterNameValues=[given])
        except AWS_ERRORS as error:
            refuse(f"parameter group {parameter_group}: {error}{remedy(error)}")

    return move
