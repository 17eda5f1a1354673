from __future__ import annotations

from urllib.parse import quote

import pytest
from berth.bindings import Bindings, bind
from berth.connection_strings import read_keywords
from berth.connections import Connection, read_connection
from berth.problems import BerthError
from berth.references import read_url
from berth.referring import Backing
from berth.variables import hoist, override, summary
from hypothesis import example, given
from hypothesis import strategies as st

POSTGRES = {
    "host": "pg.example.com",
    "port": 5433,
    "database": "shop",
    "username": "shop",
    "password_ref": "arn:password",
    "url_ref": "arn:url",
    "tls": True,
}
REDIS = {"host": "cache.example.com", "tls": True}
BACKING = Backing({"postgres": "postgres", "redis": "redis"}, {"postgres": "postgres", "db": "postgres", "redis": "redis"})


def bound(environment, postgres=None, redis=None, backing=BACKING, literal=False):
    connections = {
        "postgres": read_connection("postgres", {**POSTGRES, **(postgres or {})}, "postgres"),
        "redis": read_connection("redis", {**REDIS, **(redis or {})}, "redis"),
    }
    return bind("api", environment, backing, connections, literal=literal)


def test_the_course_app_where_host_user_and_database_have_one_text():
    result = bound(
        {"PGHOST": "postgres", "PGUSER": "postgres", "PGDATABASE": "postgres", "PGPORT": "5432", "PGPASSWORD": "postgres_password"}
    )
    assert result.environment == {
        "PGHOST": "pg.example.com",
        "PGUSER": "shop",
        "PGDATABASE": "shop",
        "PGPORT": "5433",
        "PGSSLMODE": "require",
    }
    assert result.secrets == {"PGPASSWORD": "arn:password"}
    assert not result.unbound


@pytest.mark.parametrize(
    ("variable", "old", "new"),
    [
        ("SPRING_DATASOURCE_URL", "jdbc:postgresql://db:5432/old", "jdbc:postgresql://pg.example.com:5433/shop?sslmode=require"),
        (
            "KC_DB_URL",
            "jdbc:postgresql://postgres/old?currentSchema=kc",
            "jdbc:postgresql://pg.example.com:5433/shop?currentSchema=kc&sslmode=require",
        ),
        ("REDIS_URL", "redis://redis:6379", "rediss://cache.example.com:6379"),
        ("CELERY_BROKER_URL", "redis://redis:6379/1", "rediss://cache.example.com:6379/1?ssl_cert_reqs=required"),
        ("REDIS_URL", "redis:6379", "cache.example.com:6379"),
        ("CACHE_ADDR", "redis:6379", "cache.example.com:6379"),
        ("SPRING_REDIS_HOST", "redis", "cache.example.com"),
        ("REDIS", "redis", "cache.example.com"),
        ("REDIS_PORT", "tcp://redis:6379", "tcp://cache.example.com:6379"),
        ("REDIS_TLS", "false", "true"),
        ("REDIS_USE_SSL", "0", "1"),
        ("DSN", "host=db port=5432 user=old dbname=old", "host=pg.example.com port=5433 user=shop dbname=shop sslmode=require"),
        ("DB_DSN", "pgsql:host=db;dbname=old", "pgsql:host=pg.example.com;dbname=shop;port=5433;sslmode=require"),
        (
            "ConnectionStrings__Main",
            "Host=db;Database=old;Username=a",
            "Host=pg.example.com;Database=shop;Username=shop;Port=5433;SSL Mode=require",
        ),
        ("CACHE_URL", "rediscache://redis:6379/1", "rediss://cache.example.com:6379/1"),
        ("RDS_HOSTNAME", "postgres", "pg.example.com"),
        ("DB_URL", "jdbc:p6spy:postgresql://db:5432/old", "jdbc:p6spy:postgresql://pg.example.com:5433/shop?sslmode=require"),
        ("ConnectionStrings__Redis", "redis:6379", "cache.example.com:6379,ssl=true"),
        ("CacheSettings__ConnectionString", "redis", "cache.example.com:6379,ssl=true"),
        ("REDIS_OPTIONS", "redis:6379,abortConnect=false,sslHost=a", "cache.example.com:6379,ssl=true,abortConnect=false"),
    ],
)
def test_a_value_is_led_to_the_connection(variable, old, new):
    assert bound({variable: old}).environment[variable] == new


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_ENGINE", "postgres"),
        ("DATABASE", "postgres"),
        ("KC_DB", "postgres"),
        ("SPRING_JPA_DATABASE", "postgresql"),
        ("KONG_DATABASE", "postgres"),
        ("SPRING_DATASOURCE_DRIVER_CLASS_NAME", "org.postgresql.Driver"),
        ("DATABASE_APPLICATION_NAME", "shop"),
        ("SEED_DATABASE", "true"),
        ("DB_CREATE_USER", "false"),
        ("REDIS_COMMANDER_PORT", "8081"),
        ("DB_EXPORTER_PORT", "9187"),
        ("MIGRATION_URL", "file://postgres/migrations"),
        ("BACKUPS", "s3://postgres/dumps"),
        ("DB_CONNECTION", "pgsql"),
        ("QUEUE_CONNECTION", "redis"),
        ("CACHE_DRIVER", "redis"),
        ("APP_NAME", "postgres"),
        ("USER", "postgres"),
        ("PORT", "5432"),
        ("API_URL", "http://api:5000"),
        ("GREETING", "hello redis"),
        ("DB_HOST", "database-2.example.eu-west-1.rds.amazonaws.com"),
        ("MYSQL_HOST", "mysql"),
    ],
)
def test_what_only_looks_like_a_reference_stays(variable, value):
    result = bound({variable: value})
    assert result.environment == {variable: value}
    assert not result.bound


def test_a_group_whose_host_is_no_service_is_left_alone():
    environment = {
        "DJANGO_DB_HOST": "rds.example.com",
        "DJANGO_DB_USERNAME": "postgres",
        "DJANGO_DB_NAME": "app",
        "DJANGO_DB_PASSWORD": "x",
    }
    assert bound(environment).environment == environment


def test_a_prefix_is_shared_and_a_port_of_the_app_is_not_taken_for_the_databases():
    result = bound({"DJANGO_DB_HOST": "db", "DJANGO_DB_NAME": "old", "DJANGO_PORT": "8000", "DJANGO_NAME": "shop-frontend"})
    assert result.environment == {
        "DJANGO_DB_HOST": "pg.example.com",
        "DJANGO_DB_NAME": "shop",
        "DJANGO_PORT": "8000",
        "DJANGO_NAME": "shop-frontend",
        "PGSSLMODE": "require",
    }


def test_a_databases_name_is_led_to_the_new_one_also_where_it_is_called_as_a_vendor():
    result = bound({"DB_HOST": "db", "DB_NAME": "postgres", "DATABASE": "postgres"})
    assert result.environment == {"DB_HOST": "pg.example.com", "DB_NAME": "shop", "DATABASE": "postgres", "PGSSLMODE": "require"}


def test_variables_without_a_prefix_are_of_the_one_host_that_there_is():
    assert bound({"HOST": "db", "USER": "odoo", "PASSWORD": "x", "PORT": "5432"}).environment == {
        "HOST": "pg.example.com",
        "USER": "shop",
        "PORT": "5433",
        "PGSSLMODE": "require",
    }
    own = {"HOST": "0.0.0.0", "USER": "node", "PASSWORD": "x", "PORT": "5432"}
    assert bound(own).environment == own
    assert bound({"HOST": "db", "PORT": "3000", "NAME": "web"}).environment == {
        "HOST": "pg.example.com",
        "PORT": "3000",
        "NAME": "web",
        "PGSSLMODE": "require",
    }


def test_words_that_are_written_as_one_are_read_behind_an_apps_name_too():
    result = bound({"PAPERLESS_DBHOST": "db", "PAPERLESS_DBNAME": "paperless"})
    assert result.environment == {"PAPERLESS_DBHOST": "pg.example.com", "PAPERLESS_DBNAME": "shop", "PGSSLMODE": "require"}


def test_names_alone_bind_where_there_is_one_store_they_can_mean():
    assert bound({"POSTGRES_USER": "me", "POSTGRES_DB": "mine"}).environment == {"POSTGRES_USER": "shop", "POSTGRES_DB": "shop"}
    two = Backing({"one": "postgres", "two": "postgres"}, {"one": "one", "two": "two"})
    assert bound({"POSTGRES_USER": "me"}, backing=two).environment == {"POSTGRES_USER": "me"}


def test_two_stores_of_one_engine_are_told_apart_by_their_hosts():
    backing = Backing({"main": "postgres", "log": "postgres"}, {"main": "main", "log": "log"})
    connections = {name: read_connection(name, {"host": f"{name}.example.com", "username": name}, "postgres") for name in ("main", "log")}
    environment = {"DB_HOST": "main", "DB_USER": "x", "LOG_DB_HOST": "log", "LOG_DB_USER": "x"}
    result = bind("api", environment, backing, connections, literal=False).environment
    assert result == {"DB_HOST": "main.example.com", "DB_USER": "main", "LOG_DB_HOST": "log.example.com", "LOG_DB_USER": "log"}


def test_a_url_with_a_password_becomes_the_secret_that_holds_the_url():
    result = bound({"DATABASE_URL": "postgres://postgres:p4ssw0rd@db/old"})
    assert result.secrets == {"DATABASE_URL": "arn:url"}
    assert result.environment == {}


@pytest.mark.parametrize(("layers", "word"), [("vertx-reactive", "sslmode"), ("r2dbc:pool", "sslMode"), ("r2dbc", "sslMode")])
def test_layers_before_the_scheme_stay_and_the_user_is_named_where_the_password_comes_apart(layers, word):
    environment = {"DB_URL": f"{layers}:postgresql://db/old", "DB_PASSWORD": "old"}
    result = bound(environment)
    assert result.environment == {"DB_URL": f"{layers}:postgresql://shop@pg.example.com:5433/shop?{word}=require"}
    assert result.secrets == {"DB_PASSWORD": "arn:password"}


@pytest.mark.parametrize(
    ("scheme", "query"),
    [
        ("postgresql+asyncpg", "ssl=require"),
        ("postgresql+psycopg", "sslmode=require"),
        ("db+postgresql", "sslmode=require"),
        ("ecto", "ssl=true"),
    ],
)
def test_tls_is_said_in_the_words_of_who_reads_the_url(scheme, query):
    given = {"password": "n", "password_ref": None, "url_ref": None}
    result = bound({"DATABASE_URL": f"{scheme}://a:b@db/old?sslmode=disable&ssl=false"}, postgres=given, literal=True)
    assert result.environment == {"DATABASE_URL": f"{scheme}://shop:n@pg.example.com:5433/shop?{query}"}


@pytest.mark.parametrize(("layer", "words"), [("jdbc", "sslmode={}&sslrootcert={}"), ("r2dbc", "sslMode={}&sslRootCert={}")])
def test_a_driver_of_the_jvm_that_verifies_is_told_whom_to_believe(layer, words):
    environment = {"DB_URL": f"{layer}:postgresql://db/old?sslrootcert=/mine", "DB_USERNAME": "a", "DB_PASSWORD": "old"}
    for tls, query in (
        ({"mode": "verify-full", "ca": "PEM"}, words.format("verify-full", quote("/etc/berth/authorities.pem", safe=""))),
        ({"mode": "require", "ca": "PEM"}, words.split("&")[0].format("require")),
        ("verify-full", words.split("&")[0].format("verify-full")),
    ):
        assert bound(environment, postgres={"tls": tls}).environment["DB_URL"] == f"{layer}:postgresql://pg.example.com:5433/shop?{query}"


@pytest.mark.parametrize(
    ("url", "more", "words"),
    [
        # Penpot's, which puts jdbc: before it, where a user is taken for a part of the host's name.
        ("postgresql://db/old", {"DB_USERNAME": "a", "DB_PASSWORD": "p"}, "pg.example.com"),
        ("vertx-reactive:postgresql://db/old", {"DB_USERNAME": "a", "DB_PASSWORD": "p"}, "pg.example.com"),
        ("postgresql://a@db/old", {"DB_USERNAME": "a", "DB_PASSWORD": "p"}, "shop@pg.example.com"),
        # Who connects is said nowhere else.
        ("postgresql://db/old", {"DB_PASSWORD": "p"}, "shop@pg.example.com"),
    ],
)
def test_who_connects_is_in_a_url_where_it_was_or_where_no_variable_says_it(url: str, more: dict[str, str], words: str):
    scheme = url.split("//")[0]
    assert bound({"DB_URI": url, **more}).environment["DB_URI"] == f"{scheme}//{words}:5433/shop?sslmode=require"


def test_a_url_of_another_form_is_that_of_the_secret_for_it():
    refs = {"postgresql+asyncpg": "arn:asyncpg", "ecto": "arn:ecto"}
    for scheme, ref in (("postgresql+asyncpg", "arn:asyncpg"), ("ecto", "arn:ecto"), ("postgres", "arn:url")):
        result = bound({"DATABASE_URL": f"{scheme}://postgres:p4ssw0rd@db/old"}, postgres={"url_ref": "arn:url", "url_refs": refs})
        assert result.secrets == {"DATABASE_URL": ref}


def test_a_url_that_the_secret_cannot_stand_for_is_unbound():
    result = bound({"DATABASE_URL": "postgresql+asyncpg://postgres:p4ssw0rd@db/old"})
    assert [entry["variable"] for entry in result.unbound] == ["DATABASE_URL"]
    assert not result.environment
    assert not result.secrets


def test_a_plain_password_is_never_written_where_others_read():
    environment = {"PGHOST": "db", "PGPASSWORD": "old", "DATABASE_URL": "postgres://u:old@db/x"}
    result = bound(environment, postgres={"password": "s3cr3t!", "password_ref": None, "url_ref": None})
    assert "s3cr3t" not in str(result)
    assert {entry["variable"] for entry in result.unbound} == {"PGPASSWORD", "DATABASE_URL"}
    assert all(entry["remedy"] for entry in result.unbound)


def test_a_plain_password_is_percent_encoded_in_a_file_for_root():
    environment = {"PGPASSWORD": "old", "DATABASE_URL": "postgres://u:old@db/x", "PGHOST": "db"}
    result = bound(environment, postgres={"password": "p@ss/w:rd#1"}, literal=True).environment
    # References win over a plain password, where both are given.
    assert "PGPASSWORD" not in result
    result = bound(environment, postgres={"password": "p@ss/w:rd#1", "password_ref": None, "url_ref": None}, literal=True).environment
    assert result["PGPASSWORD"] == "p@ss/w:rd#1"
    assert result["DATABASE_URL"] == "postgres://shop:p%40ss%2Fw%3Ard%231@pg.example.com:5433/shop?sslmode=require"


@pytest.mark.parametrize("old", ["redis:6379", "redis:6379,password=old,defaultDatabase=1", "redis:6379,user=default,password=old"])
def test_the_clients_of_dotnet_get_the_password_of_redis_where_root_alone_reads_it(old):
    kept = "".join(f",{each}" for each in old.split(",") if each.startswith("defaultDatabase"))
    connections = {"redis": Connection("redis", "10.0.0.8", 6379, password="p+w")}
    environment = {"ConnectionStrings__Redis": old}
    assert bind("api", environment, BACKING, connections, literal=True).environment == {
        "ConnectionStrings__Redis": f"10.0.0.8:6379,password=p+w{kept}"
    }
    assert "never written" in bind("api", environment, BACKING, connections, literal=False).unbound[0]["reason"]


def test_without_a_connection_every_reference_is_unbound_and_left_out():
    result = bind("api", {"PGHOST": "db", "PGUSER": "postgres", "REDIS_URL": "redis://redis", "DEBUG": "1"}, BACKING, {}, literal=False)
    assert result.environment == {"DEBUG": "1"}
    assert {entry["variable"] for entry in result.unbound} == {"PGHOST", "PGUSER", "REDIS_URL"}


def test_a_list_with_passwords_and_a_password_file_are_unbound_with_a_remedy():
    result = bound({"BOTH": "redis://redis, postgres://a:b@postgres/c", "POSTGRES_PASSWORD_FILE": "/run/secrets/pg"})
    assert {entry["variable"] for entry in result.unbound} == {"BOTH", "POSTGRES_PASSWORD_FILE"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("db:5432, redis:6379", "pg.example.com:5433, {redis}"),
        ("mail:25,db:5432;redis:6379", "mail:25,pg.example.com:5433;{redis}"),
        ("tcp://db:5432 http://mail:80/up", "tcp://pg.example.com:5433 http://mail:80/up"),
        ("tcp://db:5432,tcp://redis:6379", "tcp://pg.example.com:5433,tcp://{redis}"),
        ("wait-for db:5432 -- npm start", "wait-for pg.example.com:5433 -- npm start"),
    ],
)
def test_what_waits_for_several_waits_for_them_where_they_are(value: str, expected: str):
    result = bound({"WAIT_HOSTS": value, "REDIS": "redis:6379"})
    assert result.environment["WAIT_HOSTS"] == expected.format(redis=result.environment["REDIS"])
    assert not result.unbound


def test_a_list_that_leads_to_one_without_a_connection_says_which():
    connection = {"postgres": read_connection("postgres", POSTGRES, "postgres")}
    result = bind("api", {"WAIT_HOSTS": "db:5432,redis:6379"}, BACKING, connection, literal=True)
    assert "redis is left out and has no connection" in result.unbound[0]["reason"] and "WAIT_HOSTS" not in result.environment


def test_what_was_bound_is_said_by_name_only():
    assert summary(bound({"PGHOST": "db", "REDIS_HOST": "redis"}, postgres={"tls": None}).bound) == "api: PGHOST REDIS_HOST"


def test_schemes_of_celery_and_ecto_are_those_of_a_database():
    environment = {"CELERY_RESULT_BACKEND": "db+postgresql://a:b@db/old", "DATABASE_URL": "ecto://a:b@db/old"}
    result = bound(environment, postgres={"password": "new", "password_ref": None, "url_ref": None}, literal=True).environment
    assert result == {
        "CELERY_RESULT_BACKEND": "db+postgresql://shop:new@pg.example.com:5433/shop?sslmode=require",
        "DATABASE_URL": "ecto://shop:new@pg.example.com:5433/shop?ssl=true",
    }


def test_nocodb_is_told_in_its_own_words():
    environment = {"NC_DB": "pg://db:5432?u=postgres&p=old&d=old"}
    result = bound(environment, postgres={"password": "n&w", "password_ref": None, "url_ref": None, "tls": None}, literal=True).environment
    assert result == {"NC_DB": "pg://pg.example.com:5433/?u=shop&p=n%26w&d=shop"}
    assert "another form" in bound(environment).unbound[0]["reason"]


def test_npgsql_is_told_of_tls_in_its_own_words():
    result = bound({"ConnectionStrings__Main": "Host=db;SSL Mode=Disable"}, postgres={"tls": "verify-full"}).environment
    assert result["ConnectionStrings__Main"] == "Host=pg.example.com;SSL Mode=verifyfull;Port=5433"


def test_the_user_of_redis_that_every_password_has_is_named_where_one_was():
    environment = {"REDIS_HOST": "redis", "REDIS_USERNAME": "default", "REDIS_PASSWORD": "old"}
    result = bound(environment, redis={"password_ref": "arn:cache"})
    assert result.environment == {"REDIS_HOST": "cache.example.com", "REDIS_USERNAME": "default"} and not result.unbound
    assert bound({**environment, "REDIS_USERNAME": ""}).environment["REDIS_USERNAME"] == ""


def test_a_name_is_a_databases_beside_a_host_of_the_same_head():
    result = bound({"SHOP_HOST": "db", "SHOP_NAME": "old", "SHOP_DATABASE": "postgres", "SHOP_DRIVER_NAME": "pg"})
    assert result.environment == {
        "SHOP_HOST": "pg.example.com",
        "SHOP_NAME": "shop",
        "SHOP_DATABASE": "shop",
        "SHOP_DRIVER_NAME": "pg",
        "PGSSLMODE": "require",
    }


@pytest.mark.parametrize(
    ("environment", "celery", "query"),
    [
        ({"CELERY_RESULT_BACKEND": "redis://redis:6379/0"}, False, "?ssl_cert_reqs=required"),
        ({"CELERY_BROKER_URL": "redis://redis:6379/1?health_check_interval=9"}, False, "?health_check_interval=9&ssl_cert_reqs=required"),
        ({"CELERY_BROKER_URL": "redis://redis:6379/0?ssl_cert_reqs=CERT_NONE"}, True, "?ssl_cert_reqs=CERT_NONE"),
        ({"REDIS_URL": "redis://redis:6379/0"}, True, "?ssl_cert_reqs=required"),
        ({"REDIS_URL": "redis://redis:6379/0"}, False, ""),
        ({"CACHE_URL": "redis://redis:6379/0"}, True, ""),
    ],
)
def test_celery_is_told_how_it_verifies(environment, celery, query):
    connection = Connection(
        "redis", "10.0.0.8", 6379, password="n", sslmode="require", url_ref="arn:url", url_refs={"celery": "arn:celery"}
    )
    ((variable, old),) = environment.items()
    written = bind("api", environment, BACKING, {"redis": connection}, literal=True, celery=celery).environment[variable]
    assert written == f"rediss://:n@10.0.0.8:6379/{read_url(old).path}{query}"
    plain = connection._replace(sslmode=None)
    assert "required" not in bind("api", environment, BACKING, {"redis": plain}, literal=True, celery=celery).environment[variable]
    apart = connection._replace(password=None)
    if read_url(old).path == "0":
        given = bind("api", environment, BACKING, {"redis": apart}, literal=False, celery=celery).secrets
        assert given == {variable: "arn:celery" if "ssl_cert_reqs" in query else "arn:url"}
        if query:
            unbound = bind("api", environment, BACKING, {"redis": apart._replace(url_refs={})}, literal=False, celery=celery).unbound
            assert "Celery takes no URL under TLS without" in unbound[0]["reason"]


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"DB_HOST": "db", "DB_PASSWORD": "x"}, "require"),
        ({"PG_ADDRESS": "db:5432"}, "require"),
        ({"DB_HOST": "db", "DB_SSLMODE": "disable"}, None),
        ({"DB_HOST": "db", "PGSSLMODE": "disable"}, "require"),
        ({"DATABASE_URL": "postgres://db/x"}, None),
        ({"REDIS_HOST": "redis"}, None),
    ],
)
def test_who_knows_postgres_by_its_host_is_told_of_tls_where_libpq_reads_it(environment, told):
    connection = Connection("postgres", "10.0.0.8", 5432, password="n", sslmode="require")
    redis = Connection("redis", "10.0.0.9", 6379, sslmode="require")
    found = bind("api", environment, BACKING, {"postgres": connection, "redis": redis}, literal=True).environment
    assert found.get("PGSSLMODE") == told


# What a password may be: no line ends, and nothing that is no text.
PASSWORDS = (
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=20)
    | st.text(r"""a1:/@?#&='"; \${}%,+|""", min_size=1, max_size=8)
).filter(lambda text: text == text.strip())


def test_a_password_with_a_comma_is_no_option_of_stackexchange_redis():
    result = bound({"Redis__Configuration": "redis:6379"}, redis={"password": "a,ssl=false", "password_ref": None}, literal=True)
    assert not result.environment and "has a comma" in result.unbound[0]["reason"]


@given(PASSWORDS, st.sampled_from(["host=db password=old dbname=x", "Host=db;Password=old;Database=x"]))
@example("://", "host=db password=old dbname=x")
def test_any_password_survives_the_way_through_a_connection_string(password, old):
    connection = Connection("postgres", "10.0.0.8", 5432, database="shop", password=password)
    written = bind("api", {"DSN": old}, BACKING, {"postgres": connection}, literal=True).environment["DSN"]
    read = read_keywords(written)
    assert read and (read.field("password"), read.field("database"), read.field("host")) == (password, "shop", "10.0.0.8")


@given(st.text(min_size=1, max_size=30), st.text(alphabet="abcdefghij-", min_size=1, max_size=10))
def test_any_password_survives_the_way_through_a_url(password, database):
    try:
        password.encode()
    except UnicodeEncodeError:
        return
    written = bound(
        {"DATABASE_URL": "postgres://u:p@db/x"},
        postgres={"password": password, "database": database, "password_ref": None, "url_ref": None},
        literal=True,
    ).environment["DATABASE_URL"]
    found = read_url(written)
    assert found is not None
    assert (found.password, found.hosts, found.path) == (password, ("pg.example.com",), database)


@given(st.dictionaries(st.text(max_size=20), st.none() | st.text(max_size=40), max_size=6))
def test_no_environment_makes_it_stumble_and_no_variable_gets_lost(environment):
    result = bound(environment)
    kept = {*result.environment, *result.secrets, *(entry["variable"] for entry in result.unbound)}
    assert {name for name, value in environment.items() if value is not None} <= kept


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"host": "h", "engine": "mysql"}, "engine"),
        ({}, "host"),
        ({"host": "a b"}, "host"),
        ({"host": "h", "port": 99999}, "port"),
        ({"host": "h", "tls": "verify-everything"}, "tls"),
        ({"host": "h", "usernme": "x"}, "did you mean 'username'"),
    ],
)
def test_a_wrong_connection_is_refused_by_its_key(given_, words):
    with pytest.raises(BerthError, match=r"connections\.postgres") as refusal:
        read_connection("postgres", given_, "postgres")
    assert words in str(refusal.value)


def led(environment, secrets=(), own=()):
    entries = [{"service": "x", "variable": each, "field": "host", "backing": "db"} for each in {*environment, *secrets} - set(own)]
    return Bindings(dict(environment), dict(secrets), entries, [])


def test_what_every_service_is_given_alike_becomes_a_property_and_a_secret():
    services = {"api": led({"PGHOST": "a"}, {"PGPASSWORD": "arn:1"}), "worker": led({"PGHOST": "a"}, {"PGPASSWORD": "arn:1"})}
    assert hoist(services) == ({"PGHOST": "a"}, {"PGPASSWORD": "arn:1"})
    assert all(not each.environment and not each.secrets for each in services.values())


def test_what_services_are_given_differently_stays_with_them():
    services = {"api": led({"HOST": "a", "PORT": "1"}), "worker": led({"HOST": "b", "PORT": "1"})}
    assert hoist(services) == ({"PORT": "1"}, {})
    assert services["api"].environment == {"HOST": "a"}


def test_a_variable_that_one_service_set_by_itself_stays_everywhere():
    services = {"api": led({"PGHOST": "a"}), "proxy": led({"PGHOST": "elsewhere"}, own=["PGHOST"])}
    assert hoist(services) == ({}, {})
    assert services["proxy"].environment == {"PGHOST": "elsewhere"}


def test_what_names_no_store_is_no_property():
    services = {"api": led({"PGHOST": "a", "LOG": "debug"}, own=["LOG"])}
    assert hoist(services) == ({"PGHOST": "a"}, {})
    assert services["api"].environment == {"LOG": "debug"}


ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:berth/shop/stripe-AbCdEf"


def test_a_variable_from_outside_needs_no_binding():
    found = override(
        bound({"PGHOST": "postgres", "DATABASE_URL": "mysql://postgres/x", "MODE": "development"}),
        {"DATABASE_URL": "x", "MODE": None},
        literal=False,
    )
    assert (found.environment["PGHOST"], found.environment["DATABASE_URL"]) == ("pg.example.com", "x")
    assert "MODE" not in found.environment
    assert found.unbound == []


def test_the_arn_of_a_secret_is_a_reference_where_references_are_known():
    assert override(led({"KEY": "dev"}, own=["KEY"]), {"KEY": ARN}, literal=False).secrets == {"KEY": ARN}
    assert override(led({}), {"KEY": ARN}, literal=True).environment == {"KEY": ARN}
    assert override(led({}, {"KEY": "arn:1"}), {"KEY": True, "PORT": 80}, literal=False)[:2] == ({"KEY": "true", "PORT": "80"}, {})
