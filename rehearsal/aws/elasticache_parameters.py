"""ElastiCache's parameter groups and engine versions, of which moto has none, and its subnet groups."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult, EmptyResult

from . import cache_catalog, cache_nodes
from .elasticache import CacheError, RehearsedElastiCache


class RehearsedElastiCacheWithParameters(RehearsedElastiCache):
    """Dispatches a request to the method of its operation."""

    def _group(self) -> dict[str, Any]:
        name = self.given["CacheParameterGroupName"]
        if name not in self.here.parameter_groups:
            raise CacheError("CacheParameterGroupNotFound", f"CacheParameterGroup {name} not found.")
        return self.here.parameter_groups[name]

    @staticmethod
    def _told(group: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in group.items() if key != "Parameters"}

    def create_cache_parameter_group(self) -> ActionResult:
        given = self.given
        name, family = given["CacheParameterGroupName"].lower(), given["CacheParameterGroupFamily"]
        if name in self.here.parameter_groups:
            raise CacheError("CacheParameterGroupAlreadyExists", f"Cache parameter group {name} already exists.")
        if family not in {each for versions in cache_catalog.VERSIONS.values() for each in versions.values()}:
            raise CacheError("InvalidParameterValue", f"CacheParameterGroupFamily {family} is not a valid parameter group family.")
        group = {
            "CacheParameterGroupName": name,
            "CacheParameterGroupFamily": family,
            "Description": given["Description"],
            "IsGlobal": False,
            "ARN": f"arn:aws:elasticache:{self.region}:{self.current_account}:parametergroup:{name}",
            "Parameters": {},
        }
        self.here.parameter_groups[name] = group
        if given.get("Tags"):
            self.elasticache_backend.add_tags_to_resource(group["ARN"], given["Tags"])
        return ActionResult({"CacheParameterGroup": self._told(group)})

    def describe_cache_parameter_groups(self) -> ActionResult:
        groups = [self._group()] if self.given.get("CacheParameterGroupName") else list(self.here.parameter_groups.values())
        return ActionResult({"CacheParameterGroups": [self._told(group) for group in groups]})

    def describe_cache_parameters(self) -> ActionResult:
        name = self.given["CacheParameterGroupName"]
        given = {} if name.startswith("default.") else self._group()["Parameters"]
        source = self.given.get("Source")
        found = [each for each in cache_catalog.parameters(given) if source in (None, each["Source"])]
        return ActionResult({"Parameters": found, "CacheNodeTypeSpecificParameters": []})

    def modify_cache_parameter_group(self) -> ActionResult:
        group = self._group()
        wanted = {each["ParameterName"]: each["ParameterValue"] for each in self.given["ParameterNameValues"]}
        for name, value in wanted.items():
            problem = cache_catalog.problem(name, value)
            if problem:
                raise CacheError("InvalidParameterValue", problem)
        if "cluster-enabled" in wanted and any(
            each.given["CacheParameterGroupName"] == group["CacheParameterGroupName"] for each in self.here.groups.values()
        ):
            raise CacheError("InvalidCacheParameterGroupState", "cluster-enabled cannot be changed while a replication group uses it.")
        self._apply(group, {**group["Parameters"], **wanted})
        return ActionResult({"CacheParameterGroupName": group["CacheParameterGroupName"]})

    def reset_cache_parameter_group(self) -> ActionResult:
        group = self._group()
        gone = {each["ParameterName"] for each in self.given.get("ParameterNameValues") or []}
        everything = bool(self.given.get("ResetAllParameters"))
        self._apply(group, {} if everything else {name: value for name, value in group["Parameters"].items() if name not in gone})
        return ActionResult({"CacheParameterGroupName": group["CacheParameterGroupName"]})

    def _apply(self, group: dict[str, Any], parameters: dict[str, str]) -> None:
        before = {name: each.server for name, each in self.here.groups.items()}
        group["Parameters"] = parameters
        for name, each in self.here.groups.items():
            if each.given["CacheParameterGroupName"] == group["CacheParameterGroupName"] and each.status == "available":
                cache_nodes.apply(each.server, before[name])

    def delete_cache_parameter_group(self) -> ActionResult:
        name = self._group()["CacheParameterGroupName"]
        if any(each.given["CacheParameterGroupName"] == name for each in self.here.groups.values()):
            raise CacheError("InvalidCacheParameterGroupState", f"Cache parameter group {name} is still in use.")
        del self.here.parameter_groups[name]
        return EmptyResult()

    def describe_cache_engine_versions(self) -> ActionResult:
        engine, version = self.given.get("Engine"), self.given.get("EngineVersion")
        found = [
            each
            for each in cache_catalog.engine_versions()
            if engine in (None, each["Engine"]) and version in (None, each["EngineVersion"])
        ]
        return ActionResult({"CacheEngineVersions": found})

    # Subnet groups, whose names the service lower-cases

    def create_cache_subnet_group(self) -> ActionResult:
        self.params["CacheSubnetGroupName"] = self.params["CacheSubnetGroupName"].lower()
        return super().create_cache_subnet_group()

    def modify_cache_subnet_group(self) -> ActionResult:
        name = self.given["CacheSubnetGroupName"].lower()
        group = self.elasticache_backend.describe_cache_subnet_groups(name)[0]
        if self.given.get("SubnetIds"):
            group.subnet_ids = self.given["SubnetIds"]
        return ActionResult({"CacheSubnetGroup": group})

    def delete_cache_subnet_group(self) -> ActionResult:
        name = self.given["CacheSubnetGroupName"].lower()
        self.elasticache_backend.describe_cache_subnet_groups(name)
        if any(group.given.get("CacheSubnetGroupName") == name for group in self.here.groups.values()):
            raise CacheError("CacheSubnetGroupInUse", f"Cache subnet group {name} is currently in use by a cache cluster.")
        del self.elasticache_backend.cache_subnet_groups[name]
        return EmptyResult()
