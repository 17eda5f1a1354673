"""What is in the way of a move, found between servers that really lack it."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterator

import pytest
from berth.migration_databases import Databases
from berth.migration_postgres import Database
from berth.migration_stores import Stores
from berth.problems import BerthError

from rehearsal import images
from tests.machine.conftest import eventually

pytestmark = pytest.mark.docker
IMAGE = "postgres:17"
OLD, NEW, SMALL = "berth-test-old", "berth-test-new", "berth-test-small"


def docker(*words: str, stdin: str = "") -> str:
    done = subprocess.run(["docker", *words], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sql(server: str, statements: str, database: str = "postgres") -> str:
    words = ("exec", "-i", "--user", "postgres", server, "psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", database)
    return docker(*words, stdin=statements).strip()


@pytest.fixture(scope="module")
def servers() -> Iterator[None]:
    """One with data and all that a target may lack, one without, and one on a disk that is small."""
    images.ensure([IMAGE])
    disk = {SMALL: ("--tmpfs", "/var/lib/postgresql/data:size=80m")}
    try:
        for name in (OLD, NEW, SMALL):
            trusting = ("--env", "POSTGRES_HOST_AUTH_METHOD=trust")
            docker("run", "--detach", "--name", name, *trusting, *disk.get(name, ()), IMAGE)
        for name in (OLD, NEW, SMALL):
            eventually(
                lambda name=name: sql(
                    name, "select 1 from pg_stat_activity where pg_postmaster_start_time() < now() - interval '1 s' limit 1"
                )
            )
        sql(OLD, "create database shop lc_collate 'en_US.utf8' lc_ctype 'en_US.utf8' template template0; create role clerk login")
        sql(
            OLD,
            "create extension pg_trgm; create table sold as select i, repeat(md5(i::text), 40) from generate_series(1, 30000) i",
            "shop",
        )
        for name in (NEW, SMALL):
            sql(name, "create database shop; create role clerk login")
        yield
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", OLD, NEW, SMALL], capture_output=True, check=False)


def stores(name: str, user: str = "postgres", named: str = "shop", known: Collection[str] = ()) -> Database:
    """A server's database as a move finds it."""
    inside = ["docker", "exec", "-i", "--user", "postgres", "--env", f"PGUSER={user}", name]
    told = {"title": "Postgres", "reach": [], "inside": inside, "owner": "postgres"}
    found = Stores(name, {"postgres": told}, named, fresh=False, known=known).postgres
    assert found
    return found


def obstacles(source: Database, target: Database) -> str:
    return "; ".join(Databases([(source, target)]).obstacles(replace=False, begun=False))


@pytest.mark.usefixtures("servers")
def test_between_servers_that_are_alike_nothing_is_in_the_way():
    assert obstacles(stores(OLD), stores(NEW)) == ""


@pytest.mark.usefixtures("servers")
def test_a_target_of_an_older_major_version_is_refused(monkeypatch: pytest.MonkeyPatch):
    source = stores(OLD)
    # There is one version here; what the next one says of itself is what differs.
    monkeypatch.setattr(source.server, "version", lambda: "18.1")
    said = obstacles(source, stores(NEW))
    assert f"Postgres of {NEW} runs Postgres 17, and Postgres of {OLD} 18; Postgres does not go back: raise the version there" in said


@pytest.mark.usefixtures("servers")
def test_an_extension_that_the_target_lacks_is_named():
    file = "/usr/share/postgresql/17/extension/pg_trgm.control"
    docker("exec", NEW, "mv", file, f"{file}.away")
    try:
        assert f"Postgres of {NEW} has no extension pg_trgm; choose an image or a service that has it" in obstacles(
            stores(OLD), stores(NEW)
        )
    finally:
        docker("exec", NEW, "mv", f"{file}.away", file)


@pytest.mark.usefixtures("servers")
def test_a_collation_that_the_target_lacks_is_named():
    # As in a server whose system does not have it.
    sql(
        NEW,
        "create table kept as select * from pg_collation where collcollate ilike 'en_us%'; delete from pg_collation where collcollate ilike 'en_us%'",
        "template1",
    )
    try:
        said = obstacles(stores(OLD), stores(NEW))
        assert f"Postgres of {NEW} does not know the collation en_US.utf8 of shop; choose an image whose system has it" in said
    finally:
        sql(NEW, "insert into pg_collation select * from kept; drop table kept", "template1")


@pytest.mark.usefixtures("servers")
def test_a_disk_that_is_too_small_is_said_with_what_is_needed():
    assert f"Postgres of {SMALL} has room for 0.0 GB, and the copy needs 0.1 GB: let its disk grow first" in obstacles(
        stores(OLD), stores(SMALL)
    )


@pytest.mark.usefixtures("servers")
def test_rights_that_the_users_lack_are_said_for_either_side():
    said = obstacles(stores(OLD, "clerk"), stores(NEW, "clerk"))
    assert f"may not close shop of Postgres of {OLD} for writing" in said
    assert f"may not make a database of postgres's in Postgres of {NEW}: it needs CREATEDB" in said


@pytest.mark.usefixtures("servers")
def test_tables_that_are_there_already_are_not_written_over():
    sql(NEW, "create table there (i int)", "shop")
    try:
        assert f"Postgres of {NEW} holds 1 tables in shop already; -e migrate_replace=true" in obstacles(stores(OLD), stores(NEW))
    finally:
        sql(NEW, "drop table there", "shop")


@pytest.mark.usefixtures("servers")
def test_of_several_databases_one_has_to_be_named():
    sql(OLD, "create database other")
    sql(OLD, "create table there (i int)", "other")
    try:
        with pytest.raises(BerthError, match=r"holds the databases other, shop; name the app's with -e migrate_database=NAME"):
            stores(OLD, named="")
        assert stores(OLD, named="", known={"other"}).name == "shop"
        said = Databases([(stores(OLD), stores(NEW))]).told()[-1]
        assert said == "postgres: other of the same server stay behind; name what moves with the app in app_databases"
    finally:
        sql(OLD, "drop database other")
