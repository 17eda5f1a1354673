"""What a move does to two stores of keys, phase by phase, and where it is left when something fails."""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from berth import cache_writes, migration, migration_obstacles, progress, rds_writes
from berth.beside import Beside
from berth.migration import Migration
from berth.migration_databases import Databases
from berth.migration_follow import Followed
from berth.migration_postgres import Database
from berth.migration_redis import Key, Keys
from berth.migration_stores import Stores
from berth.postgres_server import Server
from berth.problems import BerthError
from botocore.exceptions import ClientError


class Memory(Keys):
    """A store in this process's memory. ``left``: so many writes until its connection is gone."""

    def __init__(self, title: str, **held: bytes) -> None:
        super().__init__(Beside(title, []), [])
        self.held = {name.encode(): value for name, value in held.items()}
        self.open, self.left = True, 1000

    def databases(self) -> list[int]:
        return [0] if self.held else []

    def read(self, _database: int, _script: str = "") -> Iterator[list[Key]]:  # type: ignore[override]
        yield [Key(name, "string", -1, value) for name, value in self.held.items()]

    def write(self, _database: int, keys: list[Key]) -> None:  # type: ignore[override]
        self.left -= 1
        if self.left < 0:
            raise BerthError(f"{self.beside.title}: the connection is gone")
        if not self.open:
            raise BerthError(f"{self.beside.title}: NOREPLICAS Not enough good replicas to write.")
        self.held |= {key.name: key.value for key in keys}

    def remove(self, _database: int, names: list[bytes]) -> None:  # type: ignore[override]
        for name in names:
            self.held.pop(name, None)

    def clear(self) -> None:
        self.held.clear()

    def count(self) -> int:
        return len(self.held)

    def writes(self, *, allowed: bool) -> None:
        self.open = allowed

    def content(self) -> dict[tuple[int, bytes], tuple[str, bool, bytes]]:
        return {(0, name): ("string", False, value) for name, value in self.held.items()}


class Home(Stores):
    """A home with keys alone."""

    redis: Memory

    def __init__(self, title: str, **held: bytes) -> None:
        super().__init__(title, {}, "", fresh=True)
        self.redis = Memory(title, **held)


@pytest.fixture
def homes() -> tuple[Home, Home]:
    return Home("old", a=b"1", b=b"2"), Home("new")


def move(homes: tuple[Home, Home], folder: Path) -> Migration:
    """A run's view of the move."""
    return Migration(*homes, folder / "note.json")


def phase(folder: Path) -> str:
    return str(json.loads((folder / "note.json").read_text())["phase"])


def test_the_target_takes_over_and_the_source_reads_only(homes: tuple[Home, Home], tmp_path: Path):
    old, new = homes
    assert any("redis: 2 keys" in line for line in move(homes, tmp_path).check(replace=False))
    move(homes, tmp_path).copy(replace=False)
    assert old.redis.open
    del old.redis.held[b"b"]
    move(homes, tmp_path).switch(replace=False)
    assert (new.redis.held, old.redis.open, phase(tmp_path)) == ({b"a": b"1"}, False, migration.SWITCHED)
    move(homes, tmp_path).finish()
    assert not (tmp_path / "note.json").exists()
    with pytest.raises(BerthError, match="no move from old to new is under way"):
        move(homes, tmp_path).back(lose=False)


def test_a_store_that_one_home_lacks_is_in_the_way_only_where_the_other_has_it(homes: tuple[Home, Home], tmp_path: Path):
    old, new = homes
    new.missing = {"postgres": "There is no RDS instance berth-shop"}
    move(homes, tmp_path).switch(replace=False)
    assert new.redis.held == old.redis.held
    new.missing = {"redis": "There is no replication group berth-shop; run playbooks/data_tier.yml there first"}
    new.redis = None  # type: ignore[assignment]
    with pytest.raises(BerthError, match=r"new: There is no replication group berth-shop; .* there first\. Nothing was touched"):
        move(homes, tmp_path)
    new.missing = {}
    with pytest.raises(BerthError, match="old and new have no store of the same kind"):
        move(homes, tmp_path)


def test_what_was_written_in_the_target_comes_back(homes: tuple[Home, Home], tmp_path: Path):
    old, new = homes
    move(homes, tmp_path).switch(replace=False)
    new.redis.held[b"c"] = b"3"
    del new.redis.held[b"a"]
    assert move(homes, tmp_path).back(lose=False)[-1] == "old takes writes"
    assert (old.redis.held, old.redis.open, new.redis.open) == ({b"b": b"2", b"c": b"3"}, True, False)


def test_a_way_back_that_breaks_leaves_the_target_serving(homes: tuple[Home, Home], tmp_path: Path):
    old, new = homes
    move(homes, tmp_path).switch(replace=False)
    old.redis.left = 0
    with pytest.raises(
        BerthError, match=r"the connection is gone\. new takes writes again and old does not, as before; -e migrate=back goes on"
    ):
        move(homes, tmp_path).back(lose=False)
    assert (old.redis.open, new.redis.open, phase(tmp_path)) == (False, True, migration.SWITCHED)


def test_a_way_back_that_breaks_for_good_opens_neither_and_says_what_goes_on(homes: tuple[Home, Home], tmp_path: Path):
    old, new = homes
    move(homes, tmp_path).switch(replace=False)
    old.redis.left = 0

    def unreachable(*, allowed: bool) -> None:
        if allowed:
            raise BerthError("new: the connection is gone too")
        new.redis.open = False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(new, "writes", unreachable)
        with pytest.raises(
            BerthError, match=r"new could not be told to take writes again .* old takes none either: -e migrate=back once more"
        ):
            move(homes, tmp_path).back(lose=False)
    assert (old.redis.open, new.redis.open, phase(tmp_path)) == (False, False, migration.SWITCHED)
    old.redis.left = 100
    move(homes, tmp_path).back(lose=False)
    assert (old.redis.open, new.redis.open) == (True, False)


def test_what_goes_on_is_said_while_it_does(homes: tuple[Home, Home], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(progress, "listener", said.append)
    move(homes, tmp_path).switch(replace=False)
    assert said == ["old takes no writes now", "both sides are compared"]
    monkeypatch.setattr(progress, "_OFTEN", 0)
    meter = progress.Meter("redis")
    meter.at("10 keys")
    assert said[-1] == "redis: 10 keys in 0 s"


def test_a_switch_that_breaks_opens_the_source_again(homes: tuple[Home, Home], tmp_path: Path):
    old, new = homes
    move(homes, tmp_path).copy(replace=False)
    new.redis.left = 2  # those that see whether it can be written
    with pytest.raises(BerthError, match="old takes writes again, and nothing was switched"):
        move(homes, tmp_path).switch(replace=False)
    assert (old.redis.open, phase(tmp_path)) == (True, migration.COPIED)


def test_keys_alone_are_not_followed(homes: tuple[Home, Home], tmp_path: Path):
    with pytest.raises(BerthError, match="keys are copied at the switch"):
        move(homes, tmp_path).follow(replace=False)
    assert not (tmp_path / "note.json").exists()


def test_another_move_is_not_begun_beside_one(homes: tuple[Home, Home], tmp_path: Path):
    move(homes, tmp_path).copy(replace=False)
    with pytest.raises(BerthError, match="a move from old to new is copied; end it first"):
        move((Home("old", a=b"1"), Home("third")), tmp_path)


def test_a_parameter_group_is_told_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[str, str]] = []

    class Client:
        """What ElastiCache is asked."""

        def modify_cache_parameter_group(self, CacheParameterGroupName: str, ParameterNameValues: list[dict[str, str]]) -> None:  # noqa: N803
            if CacheParameterGroupName == "gone":
                raise ClientError({"Error": {"Code": "CacheParameterGroupNotFound", "Message": "not found"}}, "ModifyCacheParameterGroup")
            asked.append(("modify", ParameterNameValues[0]["ParameterValue"]))

        def reset_cache_parameter_group(self, ParameterNameValues: list[dict[str, str]], **_group: str) -> None:  # noqa: N803
            asked.append(("reset", ParameterNameValues[0]["ParameterName"]))

    monkeypatch.setitem(sys.modules, "boto3", types.SimpleNamespace(client=lambda _service, region_name: Client()))
    gate = cache_writes.gate("shop-valkey8", "eu-central-1")
    gate(False)
    gate(True)
    # More replicas than a group can have; and nothing is left of it.
    assert asked == [("modify", "6"), ("modify", "0"), ("reset", "min-replicas-to-write")]
    with pytest.raises(BerthError, match=r"parameter group gone: .*not found"):
        cache_writes.gate("gone", "eu-central-1")(False)


def test_an_instance_is_noted_to_be_closed_before_it_is_and_until_it_is_open(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    class Client:
        """What RDS is asked."""

        def add_tags_to_resource(self, ResourceName: str, Tags: list[dict[str, str]]) -> None:  # noqa: N803
            if ResourceName.endswith("gone"):
                raise ClientError({"Error": {"Code": "DBInstanceNotFound", "Message": "not found"}}, "AddTagsToResource")
            asked.append(f"noted {Tags[0]['Key']}")

        def remove_tags_from_resource(self, TagKeys: list[str], **_resource: str) -> None:  # noqa: N803
            asked.append(f"forgotten {TagKeys[0]}")

    class Shop(Server):
        """A server that notes what it is told."""

        def sql(self, text: str, _database: str = "template1") -> list[list[str]]:  # type: ignore[override]
            asked.extend(["closed"] * ("set default_transaction_read_only = on" in text) + ["opened"] * ("reset default" in text))
            return []

    monkeypatch.setitem(sys.modules, "boto3", types.SimpleNamespace(client=lambda _service, region_name: Client()))
    arn = "arn:aws:rds:eu-central-1:1:db:shop"
    home = Home("there")
    home.postgres = Database(Shop(Beside("there", [])), "shop", "shop", mark=rds_writes.mark(arn, "eu-central-1"))
    home.writes(allowed=False)
    home.writes(allowed=True)
    assert asked == ["noted berth:closed", "closed", "opened", "forgotten berth:closed"]
    with pytest.raises(BerthError, match=r"RDS instance gone: .*not found"):
        rds_writes.mark("arn:aws:rds:eu-central-1:1:db:gone", "eu-central-1")(False)


def test_the_playbook_knows_the_phases_that_there_are():
    playbook = yaml.safe_load((Path(__file__).parents[2] / "playbooks" / "migrate.yml").read_text())
    assert playbook[0]["vars"]["migrate_phases"] == list(migration.PHASES)


class Held(Server):
    """A server of several databases that notes which of them it closes and opens."""

    def __init__(self, *names: str) -> None:
        super().__init__(Beside("there", []))
        self.names, self.told = names, []  # type: ignore[var-annotated]

    def exists(self, database: str) -> bool:
        return database in self.names

    def sql(self, text: str, _database: str = "template1") -> list[list[str]]:  # type: ignore[override]
        for name in self.names:
            if text.startswith(f'alter database "{name}"'):
                self.told.append(f"{name} {'closed' if 'read_only = on' in text else 'opened'}")
        return []


def test_databases_beside_the_apps_own_are_closed_after_it_is_noted_and_opened_before_that_is_forgotten(tmp_path: Path):
    held = Held("shop", "audit", "keycloak", "unnamed")
    old, new = Home("old"), Home("new")
    old.postgres = Database(held, "shop", "shop", mark=lambda allowed: held.told.append("forgotten" if allowed else "noted"))
    new.postgres = Database(held, "app", "app")
    Migration(old, new, tmp_path / "note.json", {"keycloak", "audit", "shop", "nowhere"})
    assert [(each.name, each.own) for each in new.databases] == [("app", True), ("audit", False), ("keycloak", False)]
    old.writes(allowed=False)
    assert held.told[0] == "noted" and sorted(held.told[1:]) == ["audit closed", "keycloak closed", "shop closed"]
    held.told.clear()
    old.writes(allowed=True)
    assert sorted(held.told[:-1]) == ["audit opened", "keycloak opened", "shop opened"] and held.told[-1] == "forgotten"


def test_what_has_begun_ends_with_the_databases_that_it_began_with(tmp_path: Path):
    old, new = Home("old"), Home("new")
    old.postgres, new.postgres = Database(Held("shop", "audit"), "shop", "shop"), Database(Held("shop"), "shop", "shop")
    note = tmp_path / "note.json"
    note.write_text(json.dumps({"phase": migration.SWITCHED, "from": "old", "to": "new", "beside": ["audit"]}))
    Migration(old, new, note, ())
    assert [each.name for each in old.databases] == ["shop", "audit"]
    note.write_text(json.dumps({"phase": migration.COPIED, "from": "old", "to": "new", "beside": ["audit"]}))
    Migration(old, new, note, ())
    assert [each.name for each in old.databases] == ["shop"]


def test_a_database_beside_the_own_one_that_is_called_as_that_is_there_is_in_the_way(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(migration_obstacles, "obstacles", lambda *_pair, **_more: [])
    monkeypatch.setattr(migration_obstacles, "room_problems", lambda *_more: [])
    monkeypatch.setattr(Database, "size", lambda _database: 0)
    old, new = Database(Held(), "postgres", "shop"), Database(Held(), "shop", "shop")
    alike, others = (Databases([(old, new), (old.beside(name), new.beside(name))]) for name in ("shop", "audit"))
    assert "shop beside the app's own database is called as that is in there" in alike.obstacles(replace=False, begun=False)[0]
    assert others.obstacles(replace=False, begun=False) == []


def test_each_database_has_a_log_kept_by_a_name_of_its_own():
    shop = Database(Held("shop"), "shop", "shop")
    ways = [
        Followed(each, each, kind=kind) for each in (shop, shop.beside("audit"), shop.beside("K\u00fcche")) for kind in ("move", "seen")
    ]
    assert len({each.slot for each in ways}) == len(ways)
    # What Postgres lets such a name be.
    assert all(re.fullmatch(r"[a-z0-9_]{1,63}", each.slot) for each in ways)
    copy = shop.beside("audit")._replace(name="audit_incoming")
    assert Followed(copy, shop, "", "back").slot == Followed(shop.beside("audit"), shop, "", "back").slot
