from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from berth.bindings import bind
from berth.connections import read_connection
from berth.databases import beside, misnamed
from berth.problems import BerthError
from berth.referring import Backing

ROOT = Path(__file__).parents[2]
BACKING = Backing({"db": "postgres", "redis": "redis"}, {"db": "db", "redis": "redis"})


def found(stored: dict[str, str], **services: dict[str, str]) -> list[str]:
    """The databases beside the app's own, by the environments of its services. ``stored``: that of the store."""
    model: dict[str, Any] = {name: {"environment": each} for name, each in services.items()}
    return beside({**model, "db": {"environment": stored}, "redis": {}}, services, BACKING).get("db", [])


SHOP = {"DATABASE_URL": "postgres://u:p@db:5432/shop?sslmode=disable"}


@pytest.mark.parametrize(
    ("environment", "others"),
    [
        ({"KC_DB_URL": "jdbc:postgresql://db:5432/keycloak"}, ["keycloak"]),
        ({"KC_DB_URL_HOST": "db", "KC_DB_URL_DATABASE": "keycloak"}, ["keycloak"]),
        ({"GITEA__database__HOST": "db:5432", "GITEA__database__NAME": "gitea"}, ["gitea"]),
        ({"DSN": "host=db dbname=jobs user=u"}, ["jobs"]),
        ({"DATABASE_URL": "postgres://u:p@db/shop", "CACHE_DATABASE_URL": "postgres://u:p@db/shop_cache"}, ["shop_cache"]),
        # None at all, another server's, the one that every server has, and Redis's.
        ({"DATABASE_URL": "postgres://u:p@db"}, []),
        ({"DATABASE_URL": "postgres://u:p@db.example.com/other"}, []),
        ({"ADMIN_URL": "postgres://u:p@db/postgres"}, []),
        ({"REDIS_URL": "redis://redis:6379/3"}, []),
        ({"DATABASE_URL": "postgres://u:p@db/${TYPO}"}, []),
    ],
)
def test_databases_beside_the_one_that_the_image_makes(environment: dict[str, str], others: list[str]):
    assert found({"POSTGRES_DB": "shop"}, web=SHOP, other=environment) == others


def test_one_database_is_the_app_s_own_whatever_the_image_makes():
    assert found({"POSTGRES_DB": "postgres"}, web=SHOP, worker=SHOP) == []
    # What configures the image, by a file that both read.
    assert found({"POSTGRES_DB": "postgres"}, web={**SHOP, "POSTGRES_DB": "postgres", "DB_NAME": "shop", "DB_HOST": "db"}) == []


def test_where_nobody_asks_for_what_the_image_makes_most_decide():
    assert found({"POSTGRES_USER": "admin"}, web=SHOP, worker=SHOP, auth={"DATABASE_URL": "postgres://u@db/auth"}) == ["auth"]


def bound(environment: dict[str, str], databases: list[str], unkept: tuple[str, ...] = (), **more: Any) -> Any:
    given = {"host": "10.0.0.9", "database": "stack", "username": "stack", "password": "pw", "databases": databases, **more}
    connection = read_connection("db", given, "postgres")._replace(unkept=unkept)
    return bind("web", environment, BACKING, {"db": connection}, literal="password_ref" not in more)


def test_each_is_led_to_its_own_database():
    environment = {
        "DATABASE_URL": "postgres://u:p@db/shop",
        "KC_DB_URL": "jdbc:postgresql://db:5432/keycloak?a=b",
        "GITEA__database__HOST": "db",
        "GITEA__database__NAME": "gitea",
        "DSN": "host=db dbname=jobs user=u",
    }
    assert bound(environment, ["gitea", "jobs", "keycloak"]).environment == {
        "DATABASE_URL": "postgres://stack:pw@10.0.0.9:5432/stack",
        "KC_DB_URL": "jdbc:postgresql://10.0.0.9:5432/keycloak?a=b",
        "GITEA__database__HOST": "10.0.0.9",
        "GITEA__database__NAME": "gitea",
        "DSN": "host=10.0.0.9 dbname=jobs user=stack port=5432",
    }


def test_two_databases_never_become_one_unseen():
    result = bound({"DATABASE_URL": "postgres://u:p@db/shop", "AUTH_URL": "postgres://u:p@db/auth"}, [], unkept=("auth",))
    assert result.environment == {"DATABASE_URL": "postgres://stack:pw@10.0.0.9:5432/stack"}
    assert result.unbound[0]["reason"] == "the database auth is not the app's own, and none beside that is kept for it"
    assert result.unbound[0]["remedy"] == "name it in app_databases"


def test_one_beside_that_is_called_as_the_app_s_own_is_now_is_not_taken_for_it():
    result = bound({"AUTH_URL": "postgres://u:p@db/stack"}, ["stack"], unkept=("stack",))
    assert result.unbound[0]["remedy"] == "call it otherwise"


def test_the_secret_that_holds_the_app_s_url_does_not_stand_for_another_database():
    given = {"password": None, "password_ref": "arn:password", "url_ref": "arn:url"}
    result = bound({"DATABASE_URL": "postgres://u:p@db/shop", "AUTH_URL": "postgres://u:p@db/auth"}, ["auth"], **given)
    assert result.secrets == {"DATABASE_URL": "arn:url"}
    assert [each["variable"] for each in result.unbound] == ["AUTH_URL"]


@pytest.mark.parametrize("databases", ["auth", {"auth": 1}, [1], [""]])
def test_what_are_no_names_is_refused(databases: Any):
    with pytest.raises(BerthError, match=r"connections\.db\.databases: .* is no list of names"):
        read_connection("db", {"host": "h", "databases": databases}, "postgres")


def test_what_is_no_list_is_no_list_of_names():
    assert misnamed("keycloak") == ["keycloak"]
    assert misnamed(["keycloak", "shop-cache", "9lives", "line\n", 5]) == ["9lives", "line\n", "5"]


@pytest.mark.parametrize("playbook", ["site.yml", "data_tier.yml"])
def test_a_name_that_no_database_can_be_given_is_refused_before_anything_is_asked_of_a_cloud(playbook: str):
    environment = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "us-east-1"}
    given = json.dumps({"app_databases": ["keycloak", "two words", 'x"; drop database shop; --']})
    command = ["ansible-playbook", "-i", "inventories/aws", f"playbooks/{playbook}", "-e", given]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode
    said = " ".join(done.stdout.split())
    assert (
        "app_databases has 'two words', 'x" in said
        and "keycloak" not in said.partition("Nothing was changed")[0].partition("app_databases has")[2]
    )
    assert "aws_account : ok=0 changed=0 unreachable=0 failed=1" in said
