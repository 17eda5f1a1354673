"""EC2 is moto's, but for one thing: it takes no notice of the tags by which NAT gateways are looked for."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.nat_gateways import NatGatewayBackend


def install() -> None:
    """Let DescribeNatGateways filter by tag, so that two stacks do not see each other's."""
    original = NatGatewayBackend.describe_nat_gateways

    def describe_nat_gateways(self: Any, filters: Any, nat_gateway_ids: Any) -> Any:
        found = original(self, filters, nat_gateway_ids)
        for name, values in (filters or {}).items():
            if name.startswith("tag:"):
                found = [each for each in found if {tag["key"]: tag["value"] for tag in each.get_tags()}.get(name[4:]) in values]
        return found

    NatGatewayBackend.describe_nat_gateways = describe_nat_gateways  # type: ignore[method-assign]
