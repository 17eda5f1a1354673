"""Rendering, compared with recorded expectations; ``BERTH_RECORD=1`` writes them anew after a change that is meant."""

from __future__ import annotations

import json
import os
from pathlib import Path

import botocore.session
import botocore.validate
import pytest
import yaml
from berth import beanstalk, compose_file, dockerrun
from berth.problems import BerthError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.rendering import POSTGRES, REDIS, as_compose, container, run, selected, version_2, write

pytestmark = pytest.mark.compose
EXPECTED = Path(__file__).parent / "expected"
COURSE_IMAGES = {name: f"registry.example.com/course-{name}:1" for name in ("nginx", "api", "client", "worker")}
CASES = {
    "course": {
        "images": COURSE_IMAGES,
        "connections": {"postgres": POSTGRES, "redis": REDIS},
        "execution_role_arn": "arn:aws:iam::123456789012:role/shop",
    },
    "everything": {},
    "django": {
        "connections": {"db": POSTGRES, "redis": REDIS},
        "repository_credentials": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:hub",
    },
}


def compare(name: str, text: str) -> None:
    path = EXPECTED / name
    if os.environ.get("BERTH_RECORD"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_version_2_is_as_recorded(case):
    document, selection = version_2(case, **CASES[case])
    compare(f"{case}.Dockerrun.aws.json", dockerrun.canonical(document))
    compare(f"{case}.warnings.txt", "\n".join(selection.notes.warnings) + "\n")


@pytest.mark.parametrize("case", CASES)
def test_the_compose_format_is_as_recorded_and_compose_takes_it(case, tmp_path):
    document, selection = as_compose(case, **CASES[case])
    text = compose_file.as_yaml(document)
    compare(f"{case}.docker-compose.yml", text)
    (tmp_path / "docker-compose.yml").write_text(text, encoding="utf-8")
    secrets = {name: "x" for bindings in selection.bindings.values() for name in bindings.secrets}
    (tmp_path / ".env").write_text("".join(f"{name}=x\n" for name in secrets), encoding="utf-8")
    code, out, err = run(["docker", "compose", "--project-directory", str(tmp_path), "config", "--format", "json"])
    assert code == 0, err
    assert set(json.loads(out)["services"]) == set(selection.services)


@pytest.mark.parametrize("case", CASES)
def test_ecs_takes_every_definition_and_beanstalk_the_file(case):
    document, _selection = version_2(case, **CASES[case])
    model = botocore.session.get_session().get_service_model("ecs")
    shape = model.operation_model("RegisterTaskDefinition").input_shape
    parameters = {"family": "x", "containerDefinitions": document["containerDefinitions"], "volumes": document.get("volumes", [])}
    assert botocore.validate.ParamValidator().validate(parameters, shape).generate_report() == ""
    assert beanstalk.inspect(dockerrun.canonical(document)).errors == []


def test_backing_services_are_gone_and_their_secrets_are_references():
    document, selection = version_2("course", **CASES["course"])
    assert [each["name"] for each in document["containerDefinitions"]] == ["api", "client", "nginx", "worker"]
    assert container(document, "api")["secrets"] == [{"name": "PGPASSWORD", "valueFrom": POSTGRES["password_ref"]}]
    assert document["executionRoleArn"].endswith("role/shop")
    assert "postgres_password" not in json.dumps(document)
    assert selection.unbound == []


def test_a_backing_service_is_kept_by_choice_and_then_linked():
    document, selection = version_2("course", images=COURSE_IMAGES, keep=("redis",), connections={"postgres": POSTGRES})
    assert container(document, "redis")["image"] == "redis:latest"
    assert container(document, "worker")["links"] == ["redis"]
    assert {"name": "REDIS_HOST", "value": "redis"} in container(document, "worker")["environment"]
    assert {entry["backing"] for entry in selection.bound} == {"postgres"}


def test_a_slot_is_the_one_service_of_its_kind_that_does_not_stay(tmp_path):
    both = "services:\n  db: {image: 'postgres:17'}\n  tool: {image: 'postgres:17'}\n  web: {image: 'x/web:1', environment: {PGHOST: db}}\n"
    folder = write(tmp_path, both)
    _document, selection = version_2(folder, keep=("tool",), connections={"postgres": POSTGRES})
    assert ("web", "PGHOST") in [(each["service"], each["variable"]) for each in selection.bound]
    with pytest.raises(BerthError, match="db and tool are all of the kind postgres; name the one that is meant"):
        version_2(folder, connections={"postgres": POSTGRES})


def test_an_excluded_service_is_left_out():
    document, selection = version_2("course", images=COURSE_IMAGES, exclude=("client",))
    assert "client" not in [each["name"] for each in document["containerDefinitions"]]
    assert {"service": "client", "setting": None, "reason": "excluded"} in selection.notes.dropped


def test_a_service_without_an_image_is_left_out_and_named():
    _document, selection = version_2("course", images={"nginx": "nginx:1"})
    assert any("api is left out: it is built" in warning for warning in selection.notes.uncarried)


def test_the_front_door_is_linked_to_what_its_configuration_routes_to(tmp_path):
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx" / "default.conf").write_text(
        "upstream a { server api:5000; }\n# server worker:1;\nserver { location / { proxy_pass http://page/; } }\n"
    )
    folder = write(
        tmp_path,
        "services:\n  nginx: {build: ./nginx, image: 'x/nginx:1', ports: ['80:80']}\n  api: {image: 'x/api:1'}\n"
        "  worker: {image: 'x/worker:1'}\n  client: {image: 'x/client:1', hostname: page}\n",
    )
    document, _selection = version_2(folder)
    assert container(document, "nginx")["links"] == ["api", "client", "client:page"]


def test_links_that_need_each_other_are_refused_with_the_cycle(tmp_path):
    folder = write(
        tmp_path,
        "services:\n  a: {image: 'x/a:1', environment: {B_URL: 'http://b:80'}}\n  b: {image: 'x/b:1', environment: {C_HOST: c}}\n"
        "  c: {image: 'x/c:1', links: [a]}\n",
    )
    with pytest.raises(BerthError, match="cycle") as refusal:
        version_2(folder)
    for words in ("a needs b (environment variable B_URL)", "b needs c (environment variable C_HOST)", "c needs a (links)"):
        assert words in str(refusal.value)


def test_an_order_of_start_gives_way_to_a_name_that_is_needed(tmp_path):
    folder = write(tmp_path, "services:\n  a: {image: 'x/a:1', depends_on: [b]}\n  b: {image: 'x/b:1', environment: {A_URL: 'http://a'}}\n")
    document, _selection = version_2(folder)
    assert container(document, "b")["links"] == ["a"]
    assert "links" not in container(document, "a")


def test_one_host_port_stays_with_the_front_door(tmp_path):
    text = "services:\n  nginx: {image: 'nginx:1', ports: ['80:80'], depends_on: [app]}\n  app: {image: 'x/app:1', ports: ['80:8000']}\n"
    document, selection = version_2(write(tmp_path, text))
    assert "portMappings" not in container(document, "app")
    assert any("host port 80" in warning for warning in selection.notes.uncarried)
    with pytest.raises(BerthError, match="publish host port 80"):
        version_2(write(tmp_path, text.replace("nginx", "one").replace("depends_on: [app]", "init: true")))


def test_a_port_for_this_machine_only_is_not_opened_to_others():
    document, selection = version_2("everything")
    assert 9229 not in [mapping["containerPort"] for mapping in container(document, "web")["portMappings"]]
    assert any("127.0.0.1" in warning for warning in selection.notes.uncarried)


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("mem_limit: 5m", "no less than 6 MiB"),
        ("deploy: {resources: {limits: {memory: 64M}, reservations: {memory: 128M}}}", "above the limit"),
    ],
)
def test_memory_that_ecs_refuses_is_refused(service, words, tmp_path):
    with pytest.raises(BerthError, match=r"services\.a") as refusal:
        version_2(write(tmp_path, f"services:\n  a:\n    image: x/a:1\n    {service}\n"))
    assert words in str(refusal.value)


def test_a_limit_in_bytes_that_can_only_mean_mebibytes_is_taken_so_and_said(tmp_path):
    document, selection = version_2(write(tmp_path, "services:\n  a: {image: 'x/a:1', mem_limit: 128}\n"))
    assert container(document, "a")["memory"] == 128
    assert "write 128m" in selection.notes.uncarried[0]


def test_memory_may_be_reserved_where_none_is_named(tmp_path):
    write(tmp_path, "services:\n  a: {image: 'x/a:1'}\n  b: {image: 'x/b:1', mem_limit: 64m}\n")
    document, selection = version_2(tmp_path, default_reservation=256)
    assert [(each.get("memory"), each.get("memoryReservation")) for each in document["containerDefinitions"]] == [(None, 256), (64, None)]
    assert any("256 MiB are reserved for each, and it may take what the instance has" in each for each in selection.notes.warnings)


def test_version_1_holds_one_container():
    read, selection, options = selected("django", exclude=("celery",), connections={"db": POSTGRES, "redis": REDIS})
    document = dockerrun.version_1(read, selection, options)
    assert document == {
        "AWSEBDockerrunVersion": "1",
        "Image": {"Name": "shop/web:1", "Update": "true"},
        "Ports": [{"ContainerPort": 8000, "HostPort": 8000}],
    }
    assert any("environment" in warning for warning in selection.notes.uncarried)
    assert beanstalk.inspect(dockerrun.canonical(document)).errors == []
    with pytest.raises(BerthError, match="single container"):
        dockerrun.version_1(*selected("django"))


def test_a_plain_password_is_in_the_compose_format_only():
    plain = {**POSTGRES, "password": "s3cr3t/word", "password_ref": None, "url_ref": None}
    document, selection = version_2("django", connections={"db": plain, "redis": REDIS})
    assert "s3cr3t" not in json.dumps(document)
    assert {entry["variable"] for entry in selection.unbound} == {"DATABASE_URL"}
    document, _selection = as_compose("django", connections={"db": plain, "redis": REDIS})
    assert document["services"]["web"]["environment"]["DATABASE_URL"].startswith("postgres://shop:s3cr3t%2Fword@shop.example")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"images": {"apl": "x:1"}}, "did you mean 'api'"),
        ({"keep": ("redos",)}, "did you mean 'redis'"),
        ({"exclude": ("nobody",)}, "no service of the project"),
        ({"connections": {"postgress": POSTGRES}}, "did you mean 'postgres'"),
        ({"keep": ("redis",), "connections": {"redis": REDIS}}, "stays a container or lives elsewhere"),
        ({"images": {"api": "Not An Image"}}, "not an image reference"),
        ({"exclude": ("api", "client", "nginx", "worker")}, "no container is left"),
    ],
)
def test_options_that_name_what_is_not_there_are_refused(options, words):
    with pytest.raises(BerthError) as refusal:
        version_2("course", **{"images": {}, **options})
    assert words in str(refusal.value)


def test_a_name_that_ecs_refuses_is_refused(tmp_path):
    with pytest.raises(BerthError, match=r"services\.my\.app: ECS takes letters"):
        version_2(write(tmp_path, "services:\n  my.app: {image: 'x/a:1'}\n"))


def test_an_image_with_a_hole_where_a_variable_is_not_set_is_left_out(tmp_path):
    folder = write(tmp_path, "services:\n  a: {image: 'x/a:1'}\n  b: {image: '${BERTH_NO_REGISTRY}/b:${BERTH_NO_TAG}'}\n")
    document, selection = version_2(folder)
    assert [each["name"] for each in document["containerDefinitions"]] == ["a"]
    assert any("b is left out: its image is '/b:'" in warning for warning in selection.notes.warnings)


def test_a_service_that_never_named_a_password_is_warned_of(tmp_path):
    folder = write(
        tmp_path, "services:\n  a: {image: 'x/a:1', environment: {DB_URL: 'jdbc:postgresql://db/x'}}\n  db: {image: 'postgres:17'}\n"
    )
    _document, selection = version_2(folder, connections={"db": POSTGRES})
    assert any("a: db asks for a password now" in warning for warning in selection.notes.warnings)


def test_who_is_led_to_a_store_is_given_who_signs_for_it(tmp_path):
    text = (
        "services:\n  a: {image: 'x/a:1', environment: {PGHOST: db}}\n  b: {image: 'x/b:1'}\n"
        "  c: {image: 'x/c:1', environment: {PGHOST: db, NODE_EXTRA_CA_CERTS: /own.pem}}\n  db: {image: 'postgres:17'}\n"
    )
    document, selection = version_2(write(tmp_path, text), connections={"db": {**POSTGRES, "tls": {"mode": "require", "ca": "PEM\n"}}})
    assert selection.notes.texts == {".berth/configs/berth-authorities": "PEM\n"}
    assert document["volumes"] == [
        {"name": "config-berth-authorities", "host": {"sourcePath": "/var/app/current/.berth/configs/berth-authorities"}}
    ]
    told = {
        each["name"]: {entry["name"]: entry["value"] for entry in each.get("environment", [])} for each in document["containerDefinitions"]
    }
    assert told["a"].items() >= {"NODE_EXTRA_CA_CERTS": "/etc/berth/authorities.pem", "PGSSLROOTCERT": "/etc/berth/authorities.pem"}.items()
    assert told["c"]["NODE_EXTRA_CA_CERTS"] == "/own.pem" and not told["b"]
    mounted = {each["name"]: [point["containerPath"] for point in each.get("mountPoints", [])] for each in document["containerDefinitions"]}
    assert mounted == {"a": ["/etc/berth/authorities.pem"], "b": [], "c": ["/etc/berth/authorities.pem"]}
    for tls in ("require", {"mode": "disable", "ca": "PEM\n"}):
        assert "volumes" not in version_2(tmp_path, connections={"db": {**POSTGRES, "tls": tls}})[0]


def test_a_service_that_knows_redis_by_its_host_alone_is_told_what_to_read(tmp_path):
    text = "services:\n  a: {{image: 'x/a:1', environment: {{CACHE_HOST: cache, CACHE_PORT: 6379{}}}}}\n  cache: {{image: 'redis:8'}}\n"
    connections = {"cache": {**REDIS, "password_ref": "arn:aws:secretsmanager:eu-central-1:1:secret:cache"}}
    told = version_2(write(tmp_path, text.format("")), connections=connections)[1].notes.warnings
    assert (
        "a: cache asks for TLS and a password now, of which no variable of the service tells; let it read such as CACHE_PASSWORD and CACHE_TLS, "
        'and name them in the Compose file (CACHE_PASSWORD: "", CACHE_TLS: "false"): what holds here is put there'
    ) in told
    for relaxing, words in (
        ({"tls": "plain=on", "password": "plain=on"}, "plain=on lets it in as it is"),
        ({"tls": "plain=on", "password": "open=on"}, "open=on and plain=on let it in as it is"),
    ):
        relaxed = {"cache": {**connections["cache"], "relaxed_by": relaxing}}
        told = version_2(write(tmp_path, text.format("")), connections=relaxed)[1].notes.warnings
        assert any(each.endswith(f"is put there. If it cannot, {words}") for each in told)
    told = version_2(write(tmp_path, text.format(", CACHE_PASSWORD: ''")), connections=relaxed)[1].notes.warnings
    assert any(each.endswith("is put there. If it cannot, plain=on lets it in as it is") for each in told)
    told = version_2(write(tmp_path, text.format(", CACHE_PASSWORD: ''")), connections=connections)[1].notes.warnings
    assert any("a: cache asks for TLS now," in each and "let it read such as CACHE_TLS, and name it" in each for each in told)
    spring = text.replace("CACHE_", "SPRING_DATA_REDIS_").format("")
    told = version_2(write(tmp_path, spring), connections=connections)[1].notes.warnings
    assert any("let it read such as SPRING_DATA_REDIS_PASSWORD and SPRING_DATA_REDIS_SSL_ENABLED," in each for each in told)
    more = ", CACHE_PASSWORD: '', CACHE_TLS: 'false'"
    document, selection = version_2(write(tmp_path, text.format(more)), connections=connections)
    assert not any("cache asks for" in each for each in selection.notes.warnings)
    found = document["containerDefinitions"][0]
    assert {"name": "CACHE_TLS", "value": "true"} in found["environment"] and found["secrets"][0]["name"] == "CACHE_PASSWORD"


FROM_OUTSIDE = """
services:
  web:
    image: x/web:1
    environment: ["PGHOST=$PGHOST", "PGUSER=$PGUSER", "PGPASSWORD=$PGPASSWORD", "REDIS_HOST=${REDIS_HOST:-}", "QUEUE_REDIS_URL=${QUEUE_REDIS_URL:-}"]
  worker: {image: 'x/worker:1', environment: ["REDIS_HOST=${REDIS_HOST:-}", "DATABASE_URL=${DATABASE_URL:-}"]}
"""


def test_stores_that_the_compose_file_has_none_of_are_what_its_empty_variables_lead_to(tmp_path):
    write(tmp_path, FROM_OUTSIDE)
    references = {"password_ref": "arn:pg", "url_ref": "arn:pg-url"}
    given = {"postgres": {**POSTGRES, **references}, "valkey": {**REDIS, "password_ref": "arn:redis", "url_ref": "arn:redis-url"}}
    document, selection = version_2(tmp_path, connections=given)
    assert not selection.unbound
    web, worker = (
        {each["name"]: each.get("value") or each["valueFrom"] for each in [*found.get("environment", []), *found.get("secrets", [])]}
        for found in document["containerDefinitions"]
    )
    assert web.items() >= {"PGHOST": POSTGRES["host"], "PGUSER": "shop", "PGPASSWORD": "arn:pg", "PGSSLMODE": "verify-full"}.items()
    assert (web["REDIS_HOST"], web["QUEUE_REDIS_URL"]) == (REDIS["host"], "arn:redis-url")
    assert (worker["REDIS_HOST"], worker["DATABASE_URL"]) == (REDIS["host"], "arn:pg-url")
    with pytest.raises(BerthError, match="connections: 'postgress' is no service of the project"):
        version_2(tmp_path, connections={"postgress": POSTGRES})


def test_variables_that_nobody_gives_a_value_and_no_store_are_told_of(tmp_path):
    write(tmp_path, FROM_OUTSIDE)
    words = (
        "web: PGHOST, QUEUE_REDIS_URL and REDIS_HOST, worker: DATABASE_URL and REDIS_HOST: without a value, and the Compose file has no such store; "
        "app_stores: [postgres, redis] has Berth keep one, or say in app_env where it is"
    )
    assert words in version_2(tmp_path)[1].notes.warnings
    given = {"REDIS_HOST": "10.0.0.9", "QUEUE_REDIS_URL": "redis://10.0.0.9"}
    write(tmp_path, FROM_OUTSIDE + "  other: {image: 'mysql:8'}\n")
    told = version_2(tmp_path, environment=given)[1].notes.warnings
    assert [each for each in told if "without a value" in each] == [
        "web: PGHOST: without a value, and the Compose file has no such store; app_stores: [postgres] has Berth keep one, or say in app_env where it is"
    ]


def test_postgres_js_is_told_of_tls_by_the_variable_that_it_reads(tmp_path):
    text = "services:\n  a: {build: ., image: 'x/a:1', environment: {PGHOST: db, PGPORT: 5432}}\n  db: {image: 'postgres:17'}\n"
    for package, said in (({"dependencies": {"postgres": "^3.4.0"}}, ["verify-full"]), ({"dependencies": {"pg": "^8.16.0"}}, [])):
        (tmp_path / "package.json").write_text(json.dumps(package))
        document, _selection = version_2(write(tmp_path, text), connections={"db": POSTGRES})
        environment = document["containerDefinitions"][0]["environment"]
        assert [each["value"] for each in environment if each["name"] == "PGSSL"] == said
        assert {"name": "PGSSLMODE", "value": "verify-full"} in environment


@pytest.mark.parametrize(
    ("needed", "who"),
    [
        ({"bull": "^4.16.0"}, "Bull"),
        ({"redis": "~2.8.0", "bull": "*"}, "Bull and node-redis 2"),
        ({"redis": "2"}, "node-redis 2"),
        ({"redis": "^5.8.0", "bullmq": "^5.0.0", "ioredis": "^4.0.0"}, ""),
        ({"redis": "^20.1.0"}, ""),
    ],
)
def test_a_client_that_reads_no_tls_from_a_url_is_told_of(tmp_path, needed, who):
    (tmp_path / "package.json").write_text(json.dumps({"dependencies": needed}))
    text = "services:\n  a: {build: ., image: 'x/a:1', environment: {CACHE_URL: 'redis://cache', CACHE_HOST: other}}\n  cache: {image: 'redis:8'}\n"
    secret = {"url_ref": "arn:aws:secretsmanager:eu-central-1:1:secret:cache", "relaxed_by": {"tls": "plain=on"}}
    told = version_2(write(tmp_path, text), connections={"cache": {**REDIS, **secret}})[1].notes.warnings
    words = f"a: cache asks for TLS now, which {who} reads from no URL, so it never gets there; let the code give it host, port, password and tls: {{}}, "
    assert [each for each in told if "reads from no URL" in each] == ([words + "or plain=on lets it in as it is"] if who else [])
    told = version_2(tmp_path, connections={"cache": {**REDIS, **secret, "tls": False}})[1].notes.warnings
    assert not any("reads from no URL" in each for each in told)


@pytest.mark.parametrize(
    ("more", "given", "words"),
    [
        ("depends_on: [db]", {}, "no variable of a, which waits for db, leads to db: where it is written in code"),
        ("", {}, "no variable of any service leads to db: "),
        ("environment: {PGHOST: db, PGPASSWORD: x}", {}, ""),
        # What they say of the store does not lead there.
        ("environment: {PGUSER: x, PGPASSWORD: x, PGDATABASE: x}", {}, "no variable of any service leads to db: "),
        ("command: [serve]", {"DATABASE_URL": "postgresql://there/x"}, ""),
        ("command: [serve]", {"a": {"SQLALCHEMY_DATABASE_URI": "postgresql://there/x"}}, ""),
        ("command: [serve]", {"REDIS_URL": "redis://there"}, "no variable of any service leads to db: "),
    ],
)
def test_a_store_that_no_variable_leads_to_is_told_of(tmp_path, more, given, words):
    folder = write(tmp_path, f"services:\n  a: {{image: 'x/a:1', {more}}}\n  db: {{image: 'postgres:17'}}\n")
    _document, selection = version_2(folder, connections={"db": POSTGRES}, environment=given)
    told = [warning for warning in selection.notes.warnings if "leads to db" in warning]
    assert [warning.startswith(words) for warning in told] == [True] * bool(words)


@pytest.mark.parametrize(
    ("variables", "given", "words"),
    [
        (
            "DB_HOST: db, DB_PASSWORD: x",
            {},
            "what the database and the user of db are called, and what its code has for it may be another than shop; let it read such as DB_DATABASE and DB_USER, and name them",
        ),
        (
            "DB_HOST: db, DB_USER: x, DB_PASSWORD: x",
            {},
            "what the database of db is called, and what its code has for it may be another than shop; let it read such as DB_DATABASE, and name it",
        ),
        ("DB_HOST: db, DB_USER: x, DB_PASSWORD: x", {"DB_NAME": "shop"}, ""),
        ("DB_HOST: db, DB_USER: x, DB_PASSWORD: x", {"a": {"POSTGRES_DB": "shop"}}, ""),
        ("DB_HOST: db, DB_USER: x, DB_PASSWORD: x, DB_NAME: x", {}, ""),
        ("DB_HOST: db, DATABASE_URL: 'postgres://x:x@db/x'", {}, ""),
    ],
)
def test_names_in_postgres_that_no_variable_says_are_told_of(tmp_path, variables, given, words):
    folder = write(tmp_path, f"services:\n  a: {{image: 'x/a:1', environment: {{{variables}}}}}\n  db: {{image: 'postgres:17'}}\n")
    _document, selection = version_2(folder, connections={"db": POSTGRES}, environment=given)
    told = [warning for warning in selection.notes.warnings if "no variable of the service says what" in warning]
    expected = f"a: no variable of the service says {words} in the Compose file: what holds here is put there"
    assert told == ([expected] if words else [])


@pytest.mark.parametrize("same", [True, False])
def test_libpq_calls_a_database_as_its_user_is_called(tmp_path, same):
    folder = write(
        tmp_path, "services:\n  a: {image: 'x/a:1', environment: {PGHOST: db, PGUSER: x, PGPASSWORD: x}}\n  db: {image: 'postgres:17'}\n"
    )
    here = {**POSTGRES, "username": POSTGRES["database"] if same else "other"}
    _document, selection = version_2(folder, connections={"db": here})
    assert any("let it read such as PGDATABASE" in warning for warning in selection.notes.warnings) != same


def test_what_leads_to_the_developers_own_machine_is_told_of(tmp_path):
    folder = write(
        tmp_path,
        """services:
  a:
    image: 'x/a:1'
    environment: {API_URL: 'http://localhost:8000', WS: 'ws://127.0.0.1/s', NAME: localhost, HEALTH_URL: 'http://localhost/up', A: 'http://localhost.example'}
    build: {context: ., args: {VITE_API: 'http://localhost:8000/api'}}
""",
    )
    _document, selection = version_2(folder, environment={"FRONT": "https://localhost"})
    told = [warning for warning in selection.notes.warnings if "localhost" in warning]
    assert told[0].startswith("a: API_URL, FRONT and WS lead to localhost, ") and told[0].endswith("give them in app_env")
    assert told[1].startswith("a: the build's VITE_API leads to localhost, ") and told[1].endswith("give it in a production Compose file")


def test_a_port_that_nobody_outside_reaches_any_more_is_told_of(tmp_path):
    text = "services:\n  web: {image: 'x/w:1', ports: ['80:80'], depends_on: [api]}\n  api: {image: 'x/a:1', ports: ['8000:8000']}\n"
    folder = write(tmp_path, text + "  mine: {image: 'x/m:1', ports: ['127.0.0.1:9000:9000']}\n")
    told = [each for each in version_2(folder, front_port=80)[1].notes.warnings if "nobody outside" in each]
    assert told == ["api: nobody outside reaches port 8000, since visitors are led to web alone"]
    # Whoever is on that port is reached, also where two could be the front door.
    folder = write(tmp_path, "services:\n  one: {image: 'x/w:1', ports: ['80:80']}\n  two: {image: 'x/a:1', ports: ['443:443']}\n")
    told = [each for each in version_2(folder, front_port=80)[1].notes.warnings if "nobody outside" in each]
    assert told == ["two: nobody outside reaches port 443, since visitors are led to one alone"]
    assert not [each for each in version_2(folder)[1].notes.warnings if "nobody outside" in each]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("--db.host=db --db.port=5432", True),
        ("{'db': {'host': 'db'}}", True),
        ("local:db:5432:0:pass", True),
        ("file://db/migrations", False),
        ("db/migrations", False),
        ("http://mydb:5432", False),
        ("root@db", False),
    ],
)
def test_a_variable_that_names_a_store_in_a_form_of_its_own_is_told_of(tmp_path, value, told):
    folder = write(
        tmp_path, f"services:\n  a: {{image: 'x/a:1', environment: {{X: {json.dumps(value)}}}}}\n  db: {{image: 'postgres:17'}}\n"
    )
    _document, selection = version_2(folder, connections={"db": POSTGRES})
    assert any("X names db in a form that is not read" in warning for warning in selection.notes.warnings) == told


SERVICE = st.fixed_dictionaries(
    {"image": st.sampled_from(["x/a:1", "nginx", "redis:7", "postgres:16"])},
    optional={
        "command": st.text(st.characters(codec="ascii", min_codepoint=32), max_size=20).map(lambda text: ["run", text.replace("$", "")]),
        "environment": st.dictionaries(
            st.from_regex(r"\A[A-Z][A-Z_]{0,9}\Z"),
            st.text(st.characters(codec="utf-8", exclude_characters="$\x00", exclude_categories=["Cc", "Cs"]), max_size=20),
            max_size=3,
        ),
        "mem_limit": st.integers(6, 4096).map(lambda size: f"{size}m"),
        "read_only": st.booleans(),
        "hostname": st.sampled_from(["one", "two"]),
        "stop_grace_period": st.integers(1, 200).map(lambda number: f"{number}s"),
    },
)


@pytest.mark.parametrize(
    ("variable", "value", "host"),
    [
        ("MYSQL_HOST", "mysql", "mysql"),
        ("SMTP_HOST", "mail", "mail"),
        ("API_URL", "http://api:3000/v1", "api"),
        ("BROKER", "amqp://guest:guest@queue", "queue"),
        ("SOURCE", "jdbc:mysql://store:3306/shop", "store"),
        ("KAFKA", "kafka:9092", "kafka"),
        # Who is there, by whichever of its names; who is elsewhere; and what is no host, or may be none.
        ("API_URL", "http://web:3000", None),
        ("API_URL", "http://front:3000", None),
        ("API_URL", "http://shop:3000", None),
        ("API_URL", "http://other:3000", None),
        ("API_URL", "http://machine:3000", None),
        ("API_URL", "http://localhost:3000", None),
        ("SMTP_HOST", "smtp.example.com", None),
        ("REDIS_URL", "redis://10.0.0.8:6379", None),
        ("STORE", "s3://bucket/path", None),
        ("HOST", "0", None),
        ("SERVER_HOST", "production", None),
        ("DB_HOST", "", None),
        ("RATIO", "16:9", None),
    ],
)
def test_a_variable_that_leads_to_nobody_is_told_of(tmp_path, variable, value, host):
    services = {
        "web": {"image": "x/web:1", "container_name": "shop", "networks": {"default": {"aliases": ["front"]}}},
        "job": {"image": "x/job:1", "links": ["web:other"], "extra_hosts": ["machine:host-gateway"], "environment": {variable: value}},
        "mail": {"image": "x/mail:1"},
        "cache": {"image": "valkey/valkey:8"},
    }
    folder = write(tmp_path, json.dumps({"services": services}))
    told = [f"job: {variable} leads to {host}, and no service is called so; give it in app_env, or take it out"] if host else []
    _document, selection = version_2(folder, exclude=("mail",), connections={"cache": REDIS})
    assert [each for each in selection.notes.warnings if "called so" in each] == told
    _document, selection = version_2(folder, exclude=("mail",), connections={"cache": REDIS}, environment={variable: "elsewhere:1"})
    assert not [each for each in selection.notes.warnings if "called so" in each]


def test_a_compose_file_of_stores_alone_is_told_what_is_missing(tmp_path):
    folder = write(tmp_path, "services:\n  db: {image: 'postgres:17'}\n  cache: {image: 'redis:8'}\n")
    with pytest.raises(BerthError, match=r"stores alone \(cache and db\); the app's own service has to stand beside them"):
        version_2(folder)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["a", "b", "c-1", "d_2"]), SERVICE, min_size=1))
def test_any_project_is_rendered_to_what_ecs_takes_or_refused_in_words(tmp_path, services):
    folder = write(tmp_path, yaml.safe_dump({"services": services}))
    try:
        document, _selection = version_2(folder)
    except BerthError as refusal:
        assert "no container is left" in str(refusal)
        return
    assert beanstalk.inspect(dockerrun.canonical(document)).errors == []
    assert not {"redis:7", "postgres:16"} & {each["image"] for each in document["containerDefinitions"]}


@pytest.mark.parametrize(
    ("compose_text", "ports"),
    [
        ("services:\n  web: {image: 'x/web:1', ports: ['8080:3000']}\n", [(80, 3000)]),
        ("services:\n  web: {image: 'x/web:1', ports: ['8443:443', '8080:80']}\n", [(8443, 443), (80, 80)]),
        ("services:\n  web: {image: 'x/web:1', ports: ['80:8000', '9000:9000']}\n", [(80, 8000), (9000, 9000)]),
        # Open to the developers' own machine alone, as nothing else is.
        ("services:\n  web: {image: 'x/web:1', ports: ['127.0.0.1:8080:3000']}\n  worker: {image: 'x/w:1'}\n", [(80, 3000)]),
    ],
)
def test_the_front_door_is_put_where_visitors_come(tmp_path, compose_text, ports):
    document = version_2(write(tmp_path, compose_text), front_port=80)[0]
    found = [(each["hostPort"], each["containerPort"]) for each in container(document, "web").get("portMappings", [])]
    assert sorted(found) == sorted(ports)


@pytest.mark.parametrize("ports", ["[]", "['5353:53/udp']"])
def test_an_app_that_no_visitor_could_reach_is_refused(tmp_path, ports):
    with pytest.raises(BerthError, match="publish a port"):
        version_2(write(tmp_path, f"services:\n  web: {{image: 'x/web:1', ports: {ports}}}\n"), front_port=80)


def test_variables_from_outside_are_for_all_services_or_for_one(tmp_path):
    text = "services:\n  web: {image: 'x/web:1', environment: {MODE: development}}\n  worker: {image: 'x/worker:1'}\n"
    document = version_2(write(tmp_path, text), environment={"MODE": "production", "worker": {"QUEUE": "slow"}})[0]
    assert container(document, "web")["environment"] == [{"name": "MODE", "value": "production"}]
    assert container(document, "worker")["environment"] == [{"name": "MODE", "value": "production"}, {"name": "QUEUE", "value": "slow"}]


@pytest.mark.parametrize(
    ("environment", "words"), [({"wrker": {"A": "b"}}, "did you mean 'worker'"), ({"A": ["b"]}, "environment.A: list is no text")]
)
def test_what_is_no_variable_is_refused(tmp_path, environment, words):
    text = "services:\n  worker: {image: 'x/worker:1'}\n"
    with pytest.raises(BerthError, match=words):
        version_2(write(tmp_path, text), environment=environment)


def test_what_containers_say_goes_to_cloudwatch_where_the_compose_file_names_no_other_place(tmp_path):
    text = "services:\n  web: {image: 'x/web:1'}\n  own: {image: 'x/own:1', logging: {driver: syslog}}\n"
    document = version_2(write(tmp_path, text), awslogs={"group": "/berth/shop", "region": "eu-central-1"})[0]
    assert container(document, "web")["logConfiguration"] == {
        "logDriver": "awslogs",
        "options": {"awslogs-group": "/berth/shop", "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "app"},
    }
    assert container(document, "own")["logConfiguration"] == {"logDriver": "syslog"}
    assert not beanstalk.inspect(dockerrun.canonical(document)).errors
