"""What images are built from in production, of projects whose Compose file builds them for development."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from berth import compose, release
from berth.dockerfiles import exposed_ports, stages
from berth.problems import BerthError
from berth.production_builds import Builds, for_production
from berth.selection import Options, select

from tests.unit.rendering import project, run, write

NODE = "FROM node:22\nWORKDIR /app\nCOPY . .\nCMD npm run {script}\n"
PAGE = "FROM node:22 AS builder\nWORKDIR /app\nCOPY . .\nEXPOSE 9000\nRUN npm run build\nFROM nginx\nEXPOSE {port}\nCOPY --from=builder /app/build /usr/share/nginx/html\n"
COMPOSE = """
services:
  nginx:
    build: {context: ./nginx, dockerfile: Dockerfile.dev}
    ports: ["3050:80"]
  api:
    build: {context: ./server, dockerfile: Dockerfile.dev}
    volumes: [/app/node_modules, "./server:/app"]
    environment: {PGHOST: postgres, PGPASSWORD: postgres_password}
  client:
    build: {context: ./client, dockerfile: Dockerfile.dev, args: {API: /api}}
    volumes: [/app/node_modules, "./client:/app", "uploads:/app/uploads"]
  postgres: {image: "postgres:17"}
volumes: {uploads: {}}
"""


def laid_out(folder: Path, port: int = 3000) -> Path:
    """A page's server for development and for production, an API, and an nginx before both."""
    files = {
        "compose.yaml": COMPOSE,
        "nginx/default.conf": "upstream client { server client:3000; }\nupstream api { server api:5000; }\n",
        "nginx/Dockerfile.dev": "FROM nginx\nCOPY ./default.conf /etc/nginx/conf.d/default.conf\n",
        "server/Dockerfile.dev": NODE.format(script="dev"),
        "server/Dockerfile": NODE.format(script="start"),
        "client/Dockerfile.dev": NODE.format(script="start"),
        "client/Dockerfile": PAGE.format(port=port),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def built(folder: Path, given: dict[str, Any] | None = None) -> Builds:
    read = compose.read_project(run, str(folder))
    return for_production(read.services, read.directory, given or {})


@pytest.mark.compose
def test_what_is_built_for_development_is_built_for_production_where_that_lies_beside_it(tmp_path):
    found = built(laid_out(tmp_path))
    assert found.changed == {"api": {"dockerfile": "Dockerfile"}, "client": {"dockerfile": "Dockerfile"}}
    assert found.advice == [
        "nginx is built from Dockerfile.dev, which is for development by its name, and none for production is beside it",
        "api and client are built from Dockerfile, and not from Dockerfile.dev, which is for development by its name; app_dockerfiles says otherwise",
    ]
    mounted = {name: [each["target"] for each in found.services[name].get("volumes") or []] for name in ("api", "client")}
    # What lay over the page's source would be delivered to an nginx that has none.
    assert mounted == {"api": ["/app/node_modules", "/app"], "client": ["/app/uploads"]}


@pytest.mark.compose
def test_a_port_at_which_nobody_would_answer_is_told_of(tmp_path):
    found = built(laid_out(tmp_path, port=80))
    assert "client" not in found.changed
    assert found.advice[0].startswith(
        "client is built from Dockerfile.dev, which is for development by its name, and not from Dockerfile: that one shows port 80, and others ask for 3000;"
    )


@pytest.mark.compose
@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("server {\n  listen 3000;\n}\n", ""),
        ("server { listen [::]:3000 default_server; }\n", ""),
        ("server { listen ${PORT}; }\n", ""),
        ("server {\n  listen 0.0.0.0:8080;\n}\n", "8080"),
        (None, "80"),
    ],
)
def test_a_server_that_shows_no_port_listens_where_its_configuration_says(tmp_path, said, shown):
    laid_out(tmp_path)
    text = PAGE.replace("EXPOSE {port}\n", "" if said is None else "COPY ./nginx.conf /etc/nginx/conf.d/default.conf\n")
    (tmp_path / "client" / "Dockerfile").write_text(text)
    (tmp_path / "client" / "nginx.conf").write_text(said or "")
    found = built(tmp_path)
    assert ("client" in found.changed) is (not shown)
    assert ("shows port " + shown in found.advice[0]) is bool(shown)


@pytest.mark.compose
def test_a_command_of_the_compose_file_may_be_for_development_as_well(tmp_path):
    laid_out(tmp_path)
    path = tmp_path / "compose.yaml"
    path.write_text(COMPOSE.replace("  api:\n", "  api:\n    command: npm run dev\n"))
    found = built(tmp_path)
    assert list(found.changed) == ["client"]
    assert "api is built from Dockerfile.dev, which is for development by its name, and not from Dockerfile: the command" in found.advice[0]


@pytest.mark.compose
def test_who_names_one_has_that_one(tmp_path):
    laid_out(tmp_path)
    found = built(tmp_path, {"api": "Dockerfile.dev", "client": "Dockerfile"})
    assert found.changed == {"client": {"dockerfile": "Dockerfile"}}
    assert len(found.advice) == 1
    for given, words in (
        ({"apu": "Dockerfile"}, "no service of the project .*did you mean 'api'"),
        ({"postgres": "Dockerfile"}, "postgres is not built"),
        ({"api": "Dockerfile.slim"}, "there is no Dockerfile.slim in .*/server"),
        ({"api": None}, "there is no None in"),
    ):
        with pytest.raises(BerthError, match=words):
            built(tmp_path, given)


@pytest.mark.parametrize(
    ("named", "beside", "taken"),
    [
        ("Dockerfile.dev", ["Dockerfile", "Dockerfile.prod"], "Dockerfile.prod"),
        ("Dockerfile.local", ["Dockerfile.production"], "Dockerfile.production"),
        ("dev.Dockerfile", ["Dockerfile"], "Dockerfile"),
        ("Dockerfile-development", ["Dockerfile"], "Dockerfile"),
        ("docker/dev/Dockerfile", ["docker/Dockerfile", "docker/prod/Dockerfile"], "docker/prod/Dockerfile"),
        ("docker/dev/Dockerfile", ["docker/Dockerfile"], "docker/Dockerfile"),
        ("Dockerfile.dev", [], None),
        ("Dockerfile.device", ["Dockerfile"], None),
        ("Dockerfile", ["Dockerfile.prod"], None),
    ],
)
def test_which_one_that_is(tmp_path, named, beside, taken):
    for name in (named, *beside):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("FROM node:22\n")
    found = for_production({"web": {"build": {"context": str(tmp_path), "dockerfile": named}}}, str(tmp_path), {})
    assert found.changed == ({"web": {"dockerfile": taken}} if taken else {})
    assert found.services["web"]["build"]["dockerfile"] == taken or named


def test_a_stage_for_development_gives_way_to_the_one_for_production(tmp_path):
    path = tmp_path / "Dockerfile"
    path.write_text("FROM node AS base\nEXPOSE 3000\nFROM base AS dev\nEXPOSE 9229\nFROM base AS production\nFROM nginx\n")
    build = {"context": str(tmp_path), "dockerfile": "Dockerfile", "target": "dev"}
    assert for_production({"web": {"build": build}}, str(tmp_path), {}).changed == {"web": {"target": "production"}}
    assert stages(build) == {"base", "dev", "production", "3"}
    assert exposed_ports(build) == {3000, 9229} and exposed_ports({**build, "target": "production"}) == {3000}
    assert exposed_ports({**build, "target": ""}) == set()
    with pytest.raises(BerthError, match=r"has the target dev, which is no stage of other"):
        (tmp_path / "other").write_text("FROM node\n")
        for_production({"web": {"build": build}}, str(tmp_path), {"web": "other"})


@pytest.mark.compose
def test_what_says_that_it_is_for_development_is_told(tmp_path):
    text = "services:\n  web: {image: 'shop/web:1', command: npm run dev, environment: {NODE_ENV: development, DEBUG: 'shop:*', APP_ENV: production}}\n"
    selection = select(
        project(write(tmp_path, text + "  job: {image: 'shop/web:1', environment: {NODE_ENV: development, FLASK_DEBUG: 1}}\n")), Options()
    )
    assert [each for each in selection.notes.warnings if "development" in each] == [
        "job: FLASK_DEBUG=1 is for development; say what is for production in app_env, or in a production Compose file",
        "job and web: NODE_ENV=development is for development; say what is for production in app_env, or in a production Compose file",
        "web: the command 'npm run dev' is for development; say what is for production in a production Compose file",
    ]
    given = {"NODE_ENV": "production", "FLASK_DEBUG": None}
    selection = select(project(tmp_path), Options(environment=given))
    assert len([each for each in selection.notes.warnings if "development" in each]) == 1


@pytest.mark.parametrize(
    ("dockerfile", "scripts", "service", "told"),
    [
        ('CMD ["npm", "run", "dev"]', {}, {}, "the command 'npm run dev' of its Dockerfile is"),
        ('CMD ["flask", "--app", "shop", "run"]', {}, {}, "the command 'flask --app shop run' of its Dockerfile is"),
        (
            "CMD npm start",
            {"start": "react-scripts start"},
            {},
            "the command 'npm start' of its Dockerfile, which runs 'react-scripts start', is",
        ),
        ("CMD npm start", {"start": "node ."}, {}, ""),
        ("CMD npm start", ["odd"], {}, ""),
        ("CMD nodemon .", {}, {"command": ["node", "."]}, ""),
        ("CMD nodemon .", {}, {"entrypoint": ["node", "."]}, ""),
        ("CMD node .", {"serve": "nodemon ."}, {"command": ["yarn", "serve"]}, "the command 'yarn serve', which runs 'nodemon', is"),
        ("ENTRYPOINT nodemon\nCMD .", {}, {"command": ["."]}, "the command 'nodemon' of its Dockerfile is"),
        ("CMD nodemon .\nFROM node AS last\nCMD node .", {}, {}, ""),
        ("RUN npm run dev:build\nCMD node .", {}, {}, ""),
        ("CMD node .", {}, {"command": "pnpm --filter api dev"}, "the command 'pnpm --filter api dev' is"),
        ("CMD node .", {}, {"command": "npm install --no-save && node dev"}, ""),
    ],
)
@pytest.mark.compose
def test_what_an_image_starts_for_development_is_told(tmp_path, dockerfile, scripts, service, told):
    (tmp_path / "Dockerfile").write_text(f"FROM node\n{dockerfile}\n")
    (tmp_path / "package.json").write_text(json.dumps({"scripts": scripts}))
    services = {"web": {"build": ".", "image": "shop/web:1", **service}}
    found = select(project(write(tmp_path, json.dumps({"services": services}))), Options()).notes.warnings
    assert [each for each in found if "for development" in each] == (
        [
            f"web: {told} for development; say what is for production in {'its Dockerfile, or in ' if ' its ' in told else ''}a production Compose file"
        ]
        if told
        else []
    )


@pytest.mark.compose
def test_express_that_is_not_told_of_production_is_told_of(tmp_path):
    package = json.dumps({"dependencies": {"express": "^5.0.0"}})
    scripts = json.dumps({"scripts": {"start": "NODE_ENV=production node ."}, "dependencies": {"express": "^5.0.0"}})
    folders = {
        "api": ("FROM node:22\nCOPY . .\n", package),
        "set": ("FROM node:22 AS base\nENV PORT=80 \\\n    NODE_ENV=production\nFROM base\n", package),
        "other": ("FROM node:22 AS build\nENV NODE_ENV=production\nFROM node:22\n", package),
        "script": ("FROM node:22\n", scripts),
        "plain": ("FROM node:22\n", "{}"),
        "odd": ("FROM node:22\n", '["express"]'),
        "given": ("FROM node:22\n", package),
        "called": ("FROM node:22\n", package),
    }
    more = {"given": {"environment": {"NODE_ENV": "production"}}, "called": {"command": "env NODE_ENV=production node ."}}
    for name, (dockerfile, text) in folders.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(dockerfile)
        (tmp_path / name / "package.json").write_text(text)
    services = {name: {"build": f"./{name}", "image": f"shop/{name}:1", **more.get(name, {})} for name in folders}
    told = select(project(write(tmp_path, json.dumps({"services": services}))), Options()).notes.warnings
    assert [each.split(":")[0] for each in told if "NODE_ENV" in each] == ["api and other"]


@pytest.mark.compose
def test_another_build_makes_another_release_and_is_what_compose_builds(tmp_path):
    read = compose.built_for_production(compose.read_project(run, str(laid_out(tmp_path))), {})
    names = [release.name_of(read.directory, run, None, read.services, builds) for builds in ({}, read.builds)]
    assert names[0] != names[1]
    (tmp_path / "over.json").write_text(json.dumps(release.override({"client": "r/client:1"}, read.builds)))
    merged = compose.read_project(run, str(tmp_path), ["compose.yaml", "over.json"]).services["client"]
    assert (merged["image"], merged["build"]["dockerfile"]) == ("r/client:1", "Dockerfile")
