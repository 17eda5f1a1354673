"""Which Compose files of a project count in production."""

from __future__ import annotations

from pathlib import Path

import pytest
from berth import compose
from berth.problems import BerthError
from berth.production import production_files

from tests.unit.rendering import run

BASE = "services: {web: {build: ., ports: ['8080:80']}, db: {image: 'postgres:17'}}"
WHOLE = "services: {web: {image: shop/web}, proxy: {image: nginx, ports: ['80:80']}, db: {image: 'postgres:17'}}"


def files(folder: Path, **texts: str) -> list[str]:
    for name, text in texts.items():
        (folder / name.replace("__", "-").replace("_", ".")).write_text(text)
    return production_files(str(folder))


@pytest.mark.parametrize(
    "over",
    [
        "services: {web: {build: {target: production}, ports: !reset []}}",
        "services: {web: {restart: always, environment: !override {A: b}}}",
        # It has no database of its own.
        "services: {web: {build: {context: ., dockerfile: Dockerfile.prod}}, nginx: {image: nginx}}",
        "services: {web: {image: shop/web}, db: {restart: always}}",
        # Nor a port, with the same build.
        "services: {web: {build: {context: ., target: prod}}, db: {image: 'postgres:17'}}",
        "services: [",
        "",
    ],
)
@pytest.mark.parametrize("name", ["docker__compose_production_yml", "docker__compose_prod_yml"])
def test_what_says_more_of_the_same_services_is_merged_over_them(tmp_path: Path, name: str, over: str):
    expected = ["docker-compose.yml", name.replace("__", "-").replace("_", ".")]
    assert files(tmp_path, docker__compose_yml=BASE, **{name: over}) == expected


@pytest.mark.parametrize(
    "whole", [WHOLE, WHOLE.replace("image: shop/web", "build: ."), WHOLE.replace("image: shop/web", "build: {context: app}")]
)
def test_one_that_is_whole_counts_alone(tmp_path: Path, whole: str):
    assert files(tmp_path, compose_yaml=BASE, compose_prod_yaml=whole) == ["compose.prod.yaml"]


def test_a_store_whose_version_is_a_variable_is_one(tmp_path: Path):
    base = "services: {php: {image: shop/php, ports: ['80:80']}, database: {image: 'postgres:${POSTGRES_VERSION:-17}-alpine'}}"
    over = "services: {php: {build: {context: ., target: prod}, ports: ['80:80']}}"
    assert files(tmp_path, compose_yaml=base, compose_prod_yaml=over) == ["compose.yaml", "compose.prod.yaml"]


def test_without_one_those_count_that_compose_finds(tmp_path: Path):
    assert files(tmp_path) == []
    assert files(tmp_path, compose_yaml=BASE) == []
    # Of another base.
    assert files(tmp_path, docker__compose_prod_yml=WHOLE) == []


def test_one_without_another_counts_alone(tmp_path: Path):
    assert files(tmp_path, docker__compose_production_yml=WHOLE) == ["docker-compose.production.yml"]


def test_the_longer_word_counts_first(tmp_path: Path):
    assert files(tmp_path, compose_yaml=BASE, compose_prod_yaml=WHOLE, compose_production_yaml=WHOLE) == ["compose.production.yaml"]


@pytest.mark.parametrize(
    ("base", "over", "found"),
    [
        # What a team's own machines say more stays there.
        (BASE, "services: {web: {command: npm run dev, environment: {DEBUG: 1}}, mail: {image: mailpit}}", ["compose.yaml"]),
        ("services: {web: {build: ., labels: {traefik.enable: 'true'}}}", "services: {web: {ports: ['80:80']}}", ["compose.yaml"]),
        ("services: {web: {build: .}}", "services: {job: {image: shop/job}}", ["compose.yaml"]),
        # Without it something would be missing: how an image is built, a store, or how visitors come in.
        ("services: {web: {command: npm start}}", "services: {web: {build: .}}", []),
        ("services: {web: {build: ., ports: ['80:80']}}", "services: {db: {image: 'postgres:17'}}", []),
        ("services: {web: {build: .}}", "services: {web: {ports: ['80:80']}}", []),
        ("services: [", "services: {web: {build: .}}", []),
    ],
)
def test_an_override_is_for_development_where_the_compose_file_stands_alone(tmp_path: Path, base: str, over: str, found: list[str]):
    assert files(tmp_path, compose_yaml=base, compose_override_yaml=over) == found
    # With a file for production, that is merged, and the override is not.
    assert files(tmp_path, compose_production_yaml="services: {web: {restart: always}}") == ["compose.yaml", "compose.production.yaml"]


@pytest.mark.compose
def test_an_override_that_is_left_out_is_told_of(tmp_path: Path):
    (tmp_path / "compose.yaml").write_text("services: {web: {image: shop/web}}")
    (tmp_path / "compose.override.yml").write_text("services: {web: {command: npm run dev}}")
    both = compose.built_for_production(compose.read_project(run, str(tmp_path)), {})
    assert both.services["web"]["command"] == ["npm", "run", "dev"] and not both.advice
    alone = compose.built_for_production(compose.read_project(run, str(tmp_path), ["compose.yaml"]), {})
    assert alone.services["web"].get("command") is None
    assert alone.advice == [
        "compose.override.yml is left out, since by Compose's convention it is for development where compose.yaml stands alone; "
        "app_compose_files: [compose.yaml, compose.override.yml] has it"
    ]


@pytest.mark.compose
def test_what_the_environment_file_names_counts_as_for_compose(tmp_path: Path):
    for name in ("compose.yaml", "compose.override.yaml", "compose.tls.yaml"):
        (tmp_path / name).write_text(f"services: {{web: {{image: shop/web, environment: {{{name.split('.')[1].upper()}: x}}}}}}")
    (tmp_path / ".env").write_text("A=b\nCOMPOSE_FILE=compose.yaml:compose.tls.yaml  # with certificates\n")
    assert production_files(str(tmp_path)) == []
    found = compose.built_for_production(compose.read_project(run, str(tmp_path)), {})
    assert set(found.services["web"]["environment"]) == {"YAML", "TLS"}
    assert not found.advice
    assert set(compose.read_project(run, str(tmp_path), ["compose.yaml"]).services["web"]["environment"]) == {"YAML"}
    (tmp_path / "other.env").write_text('COMPOSE_PATH_SEPARATOR=,\nexport COMPOSE_FILE="compose.yaml,compose.none.yaml"\n')
    with pytest.raises(BerthError, match=r"COMPOSE_FILE: .*/compose.none.yaml does not exist"):
        compose.read_project(run, str(tmp_path), env_files=["other.env"])
