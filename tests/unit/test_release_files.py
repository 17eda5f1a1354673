"""What a release brings along in files, as a machine finds it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from berth import brought_files, compose_file, dockerrun, release_files, release_model, source_bundle
from berth.problems import BerthError
from berth.release import repository_of
from berth.release_rendering import render
from berth.selection import Options, select

from tests.unit.rendering import project, run, write

pytestmark = pytest.mark.compose
STORE = {"engine": "postgres", "host": "10.1.0.2", "database": "app", "username": "app", "password": "p%w"}
CACHE = {"engine": "redis", "host": "10.1.0.3", "password": "r"}


def rendered(folder: Path, text: str, **given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A release's model, and what is told of it."""
    write(folder, text)
    params = {
        "app": "shop",
        "release": "r1",
        "images": {},
        "connections": {},
        "keep": [],
        "exclude": [],
        "environment": {},
        "front_door": None,
    }
    params |= {"trust": [], "on_machine": [], "accessories": [], "accessories_address": "", "machines": 1, "env_files": [], **given}
    return render(params, project(folder), run)


def put(folder: Path, name: str, text: str | bytes = "x") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def on_machine(tmp_path: Path, model: dict[str, Any]) -> Path:
    folder = tmp_path / "machine"
    brought_files.place(folder, model[brought_files.KEY])
    return folder


WEB = """
services:
  web:
    image: nginx:1.28
    ports: ["80:80"]
    volumes: [{}]
"""


def test_a_file_that_a_container_mounts_is_there_as_it_is_here(tmp_path):
    put(tmp_path, "nginx.conf", "server {}\n")
    put(tmp_path, "logo.png", b"\x89PNG\xff\x00")
    os.chmod(put(tmp_path, "scripts/start.sh", "#!/bin/sh\n"), 0o755)
    model, told = rendered(tmp_path, WEB.format("./nginx.conf:/etc/nginx/nginx.conf:ro, ./logo.png:/logo.png:ro, ./scripts:/scripts:ro"))
    folder = on_machine(tmp_path, model)
    for each in model["services"]["web"]["volumes"]:
        assert (folder / each["source"]).exists()
    assert (folder / "project/nginx.conf").read_text() == "server {}\n"
    assert (folder / "project/logo.png").read_bytes() == b"\x89PNG\xff\x00"
    assert os.access(folder / "project/scripts/start.sh", os.X_OK)
    assert folder.stat().st_mode & 0o077 == 0
    assert not told["warnings"]


def test_another_content_makes_another_release(tmp_path):
    put(tmp_path, "nginx.conf", "one")
    text = WEB.format("./nginx.conf:/etc/nginx/nginx.conf:ro")
    one = rendered(tmp_path, text)[1]["release"]
    assert one == rendered(tmp_path, text)[1]["release"]
    put(tmp_path, "nginx.conf", "two")
    assert one != rendered(tmp_path, text)[1]["release"]


def test_a_folder_that_containers_write_into_is_kept_over_releases(tmp_path):
    put(tmp_path, "media/.gitkeep", "")
    model, _told = rendered(tmp_path, WEB.format("./uploads:/uploads, ./media:/media"))
    volumes = {each["target"]: each for each in model["services"]["web"]["volumes"]}
    assert {target: (each["type"], each["source"]) for target, each in volumes.items()} == {
        "/uploads": ("volume", "folder-uploads"),
        "/media": ("volume", "folder-media"),
    }
    assert model["volumes"]["folder-uploads"] == {"name": "shop_folder-uploads"}
    assert brought_files.KEY not in model


def test_what_git_does_not_keep_of_a_folder_is_no_part_of_a_release_unless_nobody_writes_there(tmp_path):
    put(tmp_path, ".gitignore", "uploads\ndist\n")
    put(tmp_path, "settings/app.ini")
    put(tmp_path, "uploads/of-a-developer.png")
    put(tmp_path, "dist/index.html")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    model, told = rendered(tmp_path, WEB.format("./uploads:/uploads, ./dist:/usr/share/nginx/html:ro, ./settings:/settings"))
    assert sorted(model[brought_files.KEY]) == ["project/dist/index.html", "project/settings/app.ini"]
    assert [each["type"] for each in model["services"]["web"]["volumes"]] == ["volume", "bind", "bind"]
    assert any("./uploads can be written to" in each and ":ro" in each for each in told["warnings"])
    assert any("./settings comes with each release" in each for each in told["warnings"])


def test_what_is_mounted_and_not_there_is_refused(tmp_path):
    for volume in ("./nginx.conf:/etc/nginx/nginx.conf", "./conf.d:/etc/nginx/conf.d:ro"):
        with pytest.raises(BerthError, match=r"services.web.volumes: .* is not there"):
            rendered(tmp_path, WEB.format(volume))


def test_more_than_a_release_can_bring_is_refused(tmp_path):
    put(tmp_path, "big/file", b"x" * (release_files.MOST_BYTES + 1))
    with pytest.raises(BerthError, match=r"20 MB of .* is mounted \(./big\)"):
        rendered(tmp_path, WEB.format("./big:/big:ro"))


def test_the_whole_project_does_not_bring_its_history_along(tmp_path):
    put(tmp_path, ".git/config")
    put(tmp_path, "server.js")
    model, _told = rendered(tmp_path, WEB.format(".:/app:ro"))
    assert "project/server.js" in model[brought_files.KEY]
    assert not [each for each in model[brought_files.KEY] if "/.git/" in each]
    assert model["services"]["web"]["volumes"][0]["source"] == "./project"


SECRETS = """
services:
  api:
    image: shop/api:1
    ports: ["3000:3000"]
    environment:
      DB_HOST: db
      DB_PASSWORD_FILE: /run/secrets/pw
      REDIS_PASSWORD_FILE: /run/secrets/cache_password
    secrets: [pw, url, jwt, cache_password]
    configs: [settings]
  worker:
    image: shop/worker:1
    secrets: [{source: pw, target: /store-password, mode: 0400}, jwt]
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/pw}
    secrets: [pw]
  cache:
    image: redis:7
secrets:
  pw: {file: pw}
  url: {file: url}
  jwt: {environment: JWT}
  cache_password: {file: cache}
configs:
  settings: {content: "cache: redis://cache:6379\\nname: $$shop\\n"}
"""


def secrets(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    put(folder, "pw", "of development\n")
    put(folder, "url", "postgres://postgres:old@db:5432/postgres")
    put(folder, "cache", "")
    put(folder, ".env", "JWT=of-the-env-file\n")
    return rendered(folder, SECRETS, connections={"postgres": STORE, "redis": CACHE})


def test_secrets_lead_to_the_stores_and_others_stay_as_they_are(tmp_path):
    model, told = secrets(tmp_path)
    folder = on_machine(tmp_path, model)

    def inside(service: str, target: str) -> str:
        for kind in ("secrets", "configs"):
            for each in model["services"][service].get(kind) or []:
                if each["target"] == target:
                    return (folder / model[kind][each["source"]]["file"]).read_text()
        raise AssertionError(target)

    assert inside("api", "/run/secrets/pw") == "p%w\n"
    assert inside("worker", "/store-password") == "p%w\n"
    assert inside("api", "/run/secrets/url") == "postgres://app:p%25w@10.1.0.2:5432/app"
    assert inside("api", "/run/secrets/jwt") == inside("worker", "/run/secrets/jwt") == "of-the-env-file"
    assert inside("api", "/run/secrets/cache_password") == "r"
    assert inside("api", "/settings") == "cache: redis://cache:6379\nname: $shop\n"
    assert model["services"]["api"]["environment"]["DB_PASSWORD_FILE"] == "/run/secrets/pw"
    assert not told["unbound"]
    assert "/run/secrets/url" in told["bound_summary"]
    # Of many lines nothing is rewritten, and that is said.
    assert any("/settings names the backing service cache" in each for each in told["warnings"])


def test_a_secret_may_be_read_by_whoever_a_container_runs_as_and_by_nobody_else(tmp_path):
    folder = on_machine(tmp_path, secrets(tmp_path)[0])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in (folder / "secrets").iterdir()} == {0o444}


def test_a_secret_that_means_another_store_in_each_service_is_led_to_each(tmp_path):
    put(tmp_path, "password", "old")
    text = """
services:
  api: {image: "a:1", environment: {DB_HOST: db, DB_PASSWORD_FILE: /run/secrets/password}, secrets: [password]}
  job: {image: "a:1", environment: {CACHE_HOST: cache, CACHE_PASSWORD_FILE: /run/secrets/password}, secrets: [password]}
  db: {image: "postgres:17"}
  cache: {image: "redis:7"}
secrets:
  password: {file: password}
"""
    model, _told = rendered(tmp_path, text, connections={"postgres": STORE, "redis": CACHE})
    folder = on_machine(tmp_path, model)
    found = {name: model["services"][name]["secrets"][0] for name in ("api", "job")}
    assert {each["target"] for each in found.values()} == {"/run/secrets/password"}
    contents = {name: (folder / model["secrets"][each["source"]]["file"]).read_text() for name, each in found.items()}
    assert contents == {"api": "p%w", "job": "r"}


def test_a_secret_that_is_not_there_is_refused_unless_it_is_the_stores_own(tmp_path):
    secrets(tmp_path)
    (tmp_path / "pw").unlink()
    assert "secrets/pw" in rendered(tmp_path, SECRETS, connections={"postgres": STORE, "redis": CACHE})[0][brought_files.KEY]
    (tmp_path / ".env").unlink()
    with pytest.raises(BerthError, match=r"secrets.jwt: the variable JWT is not set"):
        rendered(tmp_path, SECRETS, connections={"postgres": STORE, "redis": CACHE})


def test_what_a_release_brings_along_is_no_part_of_its_compose_file(tmp_path):
    model, _told = secrets(tmp_path)
    folder = on_machine(tmp_path, model)
    del model[brought_files.KEY]
    (folder / "compose.json").write_text(json.dumps(release_model.named(model, "shop", "r1")))
    code, _out, err = run(["docker", "compose", "--file", str(folder / "compose.json"), "config", "--quiet"])
    assert code == 0, err


BUILT = """
services:
  web:
    image: shop/web:1
    build: .
    ports: ["80:80"]
    volumes: [./src:/app/src, ./uploads:/app/uploads, ./node_modules:/app/node_modules, ./settings/production.yml:/app/settings.yml,
      ./nginx/site.conf:/etc/nginx/conf.d/site.conf]
"""


def built(folder: Path) -> None:
    """A project whose image is built from all of it, of which git keeps the source."""
    for name in ("Dockerfile", "src/main.py", "settings/production.yml", "nginx/site.conf"):
        put(folder, name)
    put(folder, ".gitignore", "uploads\nnode_modules\n")
    put(folder, "node_modules/package.json")
    put(folder, "uploads/of-a-developer.png")
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")


def test_beside_the_source_code_a_built_service_may_mount_settings_and_what_it_keeps(tmp_path):
    built(tmp_path)
    model, _told = rendered(tmp_path, BUILT)
    mounts = {each["target"]: (each["type"], each["source"]) for each in model["services"]["web"]["volumes"]}
    assert mounts == {
        "/app/uploads": ("volume", "folder-uploads"),
        "/app/settings.yml": ("bind", "./project/settings/production.yml"),
        "/etc/nginx/conf.d/site.conf": ("bind", "./project/nginx/site.conf"),
    }


def test_settings_and_scripts_come_along_where_the_image_has_its_program_elsewhere(tmp_path):
    put(tmp_path, "Dockerfile", "FROM php:8-fpm\nCOPY . /var/www\n")
    put(tmp_path, "php/local.ini", "upload_max_filesize=40M")
    put(tmp_path, "scripts/cron.php", "<?php")
    mounts = "['./:/var/www', './php/local.ini:/usr/local/etc/php/conf.d/local.ini', './scripts:/scripts']"
    model, told = rendered(tmp_path, f"services:\n  php: {{build: ., volumes: {mounts}}}\n", images={"php": "shop/php:1"})
    settings, scripts = model["services"]["php"]["volumes"]
    assert (on_machine(tmp_path, model) / settings["source"]).read_text() == "upload_max_filesize=40M"
    assert (on_machine(tmp_path, model) / scripts["source"] / "cron.php").read_text() == "<?php"
    assert any("php: volume .:/var/www is not carried: the source code is in the image" in each for each in told["warnings"])


def test_the_source_code_comes_along_where_its_image_has_nothing_of_it(tmp_path):
    put(tmp_path, "php.dockerfile", "FROM php:8-fpm\nRUN docker-php-ext-install pdo_pgsql\n")
    put(tmp_path, "public/index.php", "<?php")
    text = (
        "services:\n  php: {build: {context: ., dockerfile: php.dockerfile}, volumes: ['./:/var/www', '/var/www/vendor', '/elsewhere']}\n"
    )
    model, told = rendered(tmp_path, text, images={"php": "shop/php:1"})
    code, vendor = model["services"]["php"]["volumes"]
    assert (on_machine(tmp_path, model) / code["source"] / "public/index.php").read_text() == "<?php"
    # What the image has installed there stays in sight, as in Compose.
    assert (vendor["type"], vendor.get("source"), vendor["target"]) == ("volume", None, "/var/www/vendor")
    assert any("php: its image has nothing of the project in /var/www, so . comes with each release" in each for each in told["warnings"])
    (tmp_path / "uploads").mkdir()
    _model, told = rendered(tmp_path, text.replace("'./:/var/www'", "'./uploads:/uploads'"), images={"php": "shop/php:1"})
    assert not any("nothing of the project" in each for each in told["warnings"])
    write(tmp_path, text)
    read = project(tmp_path)
    selection = select(read, Options(images={"php": "shop/php:1"}))
    document = dockerrun.version_2(read, selection, Options())
    assert [each["containerPath"] for each in document["containerDefinitions"][0]["mountPoints"]] == ["/var/www"]
    assert any("hidden by the folder that is mounted over it" in each for each in selection.notes.uncarried)
    put(tmp_path, "php.dockerfile", "FROM php:8-fpm\nCOPY . /var/www\n")
    model, told = rendered(tmp_path, text, images={"php": "shop/php:1"})
    assert "volumes" not in model["services"]["php"] and not any("nothing of the project" in each for each in told["warnings"])


def test_so_it_may_on_an_instance(tmp_path):
    built(tmp_path)
    write(tmp_path, BUILT)
    read = project(tmp_path)._replace(repository=repository_of(str(tmp_path), run))
    selection = select(read, Options())
    document = dockerrun.version_2(read, selection, Options())
    paths = {each["name"]: each["host"]["sourcePath"] for each in document["volumes"]}
    mounts = {each["containerPath"]: paths[each["sourceVolume"]] for each in document["containerDefinitions"][0]["mountPoints"]}
    assert mounts == {
        "/app/uploads": "/var/lib/berth/volumes/folder-uploads",
        "/app/settings.yml": "/var/app/current/settings/production.yml",
        "/etc/nginx/conf.d/site.conf": "/var/app/current/nginx/site.conf",
    }
    assert sorted(selection.notes.bundled) == ["nginx/site.conf", "settings/production.yml"]


def test_on_an_instance_a_config_is_a_file_of_the_bundle_and_a_secret_is_told_of(tmp_path):
    put(tmp_path, "settings.ini")
    put(tmp_path, "key")
    write(
        tmp_path,
        """
services:
  web: {image: "a:1", configs: [{source: settings, target: /etc/app.ini}, more], secrets: [key]}
configs: {settings: {file: settings.ini}, more: {content: x}}
secrets: {key: {file: key}}
""",
    )
    read = project(tmp_path)
    selection = select(read, Options())
    definition = dockerrun.version_2(read, selection, Options())["containerDefinitions"][0]
    assert definition["mountPoints"] == [
        {"sourceVolume": "bundle-settings-ini", "containerPath": "/etc/app.ini", "readOnly": True},
        {"sourceVolume": "config-more", "containerPath": "/more", "readOnly": True},
    ]
    assert selection.notes.bundled == ["settings.ini"] and selection.notes.texts == {".berth/configs/more": "x"}
    assert [each["setting"] for each in selection.notes.dropped] == ["secret key"]


def test_the_compose_format_names_secrets_beside_the_file(tmp_path):
    put(tmp_path, "key")
    write(tmp_path, 'services: {web: {image: "a:1", secrets: [key]}}\nsecrets: {key: {file: ./key}}\n')
    read = project(tmp_path)
    selection = select(read, Options(), literal=True)
    assert compose_file.production(read, selection)["secrets"] == {"key": {"file": "./key"}}
    assert any("./key" in each and "deliver" in each for each in selection.notes.warnings)


def test_a_compose_file_further_down_may_mount_what_lies_beside_its_folder(tmp_path):
    put(tmp_path, "deploy/nginx.conf", "server {}")
    put(tmp_path, "docker/.keep", "")
    put(tmp_path, ".gitignore", "uploads\n")
    put(tmp_path, "uploads/of-a-developer.png")
    volumes = "../deploy/nginx.conf:/etc/nginx/nginx.conf, ../uploads:/uploads"
    git(tmp_path, "init")
    write(tmp_path / "docker", WEB.format(volumes))
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    model, told = rendered(tmp_path / "docker", WEB.format(volumes))
    conf, uploads = model["services"]["web"]["volumes"]
    assert (on_machine(tmp_path, model) / conf["source"]).read_text() == "server {}"
    assert (uploads["type"], uploads["source"]) == ("volume", "folder-uploads")
    assert any("../uploads can be written to" in each for each in told["warnings"])


def test_who_packs_what_is_mounted_is_not_told_to(tmp_path):
    put(tmp_path, "nginx.conf")
    write(tmp_path, WEB.format("./nginx.conf:/etc/nginx/nginx.conf:ro"))
    found = project(tmp_path)
    for delivered in (False, True):
        selection = select(found, Options())
        dockerrun.version_2(found, selection, Options(delivered=delivered))
        assert any("pack it" in each for each in selection.notes.warnings) is not delivered
        assert selection.notes.bundled == ["nginx.conf"]


def test_so_it_may_in_a_source_bundle(tmp_path):
    put(tmp_path, "deploy/nginx.conf", "server {}")
    put(tmp_path, "docker/.keep", "")
    write(tmp_path / "docker", WEB.format("../deploy/nginx.conf:/etc/nginx/nginx.conf"))
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    folder = tmp_path / "docker"
    read = project(folder)._replace(repository=repository_of(str(folder), run))
    selection = select(read, Options())
    document = dockerrun.version_2(read, selection, Options())
    assert [each["host"]["sourcePath"] for each in document["volumes"]] == ["/var/app/current/.above/deploy/nginx.conf"]
    assert selection.notes.bundled == ["../deploy/nginx.conf"]
    assert list(source_bundle.entries(str(folder), selection.notes.bundled)) == [".above/deploy/nginx.conf"]


def test_a_volume_that_is_a_folder_of_the_developers_is_one_of_the_machine(tmp_path):
    text = (
        WEB.format("data:/data, shared:/shared")
        + """
volumes:
  data: {driver: local, driver_opts: {type: none, o: bind, device: ./data}}
  shared: {driver_opts: {type: nfs, o: "addr=10.0.0.9,rw", device: ":/exports"}}
"""
    )
    model, told = rendered(tmp_path, text)
    assert model["volumes"]["data"] == {"driver": "local", "name": "shop_data"}
    assert model["volumes"]["shared"]["driver_opts"]["type"] == "nfs"
    assert any("volumes.data" in each for each in told["warnings"])


FOLDERS = """
volumes:
  pages: {driver: local, driver_opts: {type: none, o: bind, device: ./pages}}
  uploads: {driver: local, driver_opts: {type: none, o: bind, device: /opt/shop/uploads}}
"""


def test_a_volume_that_is_a_folder_of_the_project_brings_its_files_along(tmp_path):
    put(tmp_path, "pages/index.html", "hello")
    model, _told = rendered(tmp_path, WEB.format("pages:/pages, uploads:/uploads") + FOLDERS)
    pages, uploads = model["services"]["web"]["volumes"]
    assert (on_machine(tmp_path, model) / pages["source"] / "index.html").read_text() == "hello"
    assert (uploads["type"], uploads["source"]) == ("volume", "uploads")
    assert "driver_opts" not in model["volumes"]["uploads"]


def test_so_it_does_on_an_instance_where_others_are_the_instances_own(tmp_path):
    put(tmp_path, "pages/index.html", "hello")
    write(tmp_path, WEB.format("pages:/pages, uploads:/uploads") + FOLDERS)
    selection = select(project(tmp_path), Options())
    document = dockerrun.version_2(project(tmp_path), selection, Options())
    assert {each["name"]: each["host"]["sourcePath"] for each in document["volumes"]} == {
        "bundle-pages": "/var/app/current/pages",
        "uploads": "/var/lib/berth/volumes/uploads",
    }
    assert selection.notes.bundled == ["pages"] and not selection.notes.uncarried


def test_who_never_asks_the_environment_finds_a_store_by_the_name_that_it_had(tmp_path):
    text = """
services:
  api: {image: "a:1", environment: {WAREHOUSE: db}, extra_hosts: ["cache:192.0.2.7"]}
  db: {image: "postgres:17", container_name: shop-db}
  cache: {image: "redis:7"}
"""
    stores = {"postgres": STORE, "redis": {**CACHE, "host": "berth-redis"}}
    model, told = rendered(tmp_path, text, connections=stores, on_machine=["berth-redis"])
    assert sorted(model["services"]["api"]["extra_hosts"]) == [
        "berth-redis:host-gateway",
        "cache=192.0.2.7",
        "db:10.1.0.2",
        "shop-db:10.1.0.2",
    ]
    assert any("WAREHOUSE is db" in each and "app_env" in each for each in told["warnings"])
    elsewhere = {**STORE, "host": "pg.example.com"}
    model, _told = rendered(tmp_path, text, connections={"postgres": elsewhere, "redis": CACHE})
    assert not [each for each in model["services"]["api"]["extra_hosts"] if each.startswith("db")]


def test_where_several_services_could_be_the_front_door_that_is_said(tmp_path):
    _model, told = rendered(tmp_path, 'services: {a: {image: "a:1", ports: ["81:81"]}, b: {image: "a:1", ports: ["82:82"]}}')
    assert told["front_door"] is None
    assert any("a and b publish ports, and none is clearly the front door; name it (app_front_door)" in each for each in told["warnings"])


def test_a_front_door_that_is_named_is_the_one(tmp_path):
    text = 'services: {web: {image: "a:1", ports: ["80:81"]}, b: {image: "b:1", ports: ["127.0.0.1:82:8082"]}, c: {image: "c:1"}}'
    _model, told = rendered(tmp_path, text, front_door="b")
    assert (told["front_door"], told["port"]) == ("b", 8082)
    read = project(tmp_path)
    options = Options(front_port=80, front_door="b")
    document = dockerrun.version_2(read, select(read, options), options)
    assert {each["name"]: [one.get("hostPort") for one in each.get("portMappings", [])] for each in document["containerDefinitions"]} == {
        "web": [],
        "b": [80],
        "c": [],
    }
    for name, words in (("c", "c publishes no port"), ("d", "'d' is no service that stays a container")):
        with pytest.raises(BerthError, match=words):
            rendered(tmp_path, text, front_door=name)


@pytest.mark.parametrize("reference", ["password_ref", "url_ref"])
def test_a_reference_to_a_password_is_never_taken_for_one(tmp_path, reference):
    put(tmp_path, "pw", "old")
    put(tmp_path, "url", "postgres://a:old@db/a")
    text = """
services:
  api: {image: "a:1", environment: {DB_HOST: db, DB_PASSWORD_FILE: /run/secrets/pw}, secrets: [pw, url]}
  db: {image: "postgres:17"}
secrets:
  pw: {file: pw}
  url: {file: url}
"""
    managed = {"host": "pg.example.com", reference: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop:password::"}
    model, told = rendered(tmp_path, text, connections={"postgres": managed})
    assert sorted(each["variable"] for each in told["unbound"]) == ["/run/secrets/pw", "/run/secrets/url"]
    assert "arn:" not in json.dumps(model)


def test_certificates_that_git_does_not_keep_are_delivered_and_those_that_are_renewed_there_are_kept(tmp_path):
    git(tmp_path, "init", "--quiet")
    put(tmp_path, ".gitignore", "ssl\ncertbot\n")
    put(tmp_path, "ssl/shop.crt", "certificate")
    put(tmp_path, "certbot/conf/live", "certificate")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "all but certificates")
    model, _told = rendered(tmp_path, WEB.format('"./ssl:/etc/nginx/ssl", "./certbot/conf:/etc/letsencrypt"'))
    assert list(model[brought_files.KEY]) == ["project/ssl/shop.crt"]
    assert [each["type"] for each in model["services"]["web"]["volumes"]] == ["bind", "volume"]


def test_a_worker_that_was_shut_in_with_the_database_gets_to_it_where_it_is_now(tmp_path):
    text = """
services:
  web: {image: "nginx:1.28", ports: ["80:80"], volumes: ["./.env:/app/.env"]}
  worker: {image: shop/worker, environment: {DATABASE_URL: "postgres://db/app"}, networks: [data]}
  db: {image: "postgres:17", networks: [data]}
networks: {data: {internal: true}}
"""
    put(tmp_path, ".env", "DATABASE_URL=postgres://db/app")
    model, told = rendered(tmp_path, text, connections={"db": STORE})
    assert model["networks"]["data"] == {}
    assert "web: .env is mounted as it is, and what it says of stores leads nowhere else; give it with env_file" in told["warnings"]


def test_certificates_of_the_machine_that_the_project_came_from_are_told_of(tmp_path):
    _model, told = rendered(tmp_path, WEB.format('"/etc/letsencrypt:/etc/letsencrypt:ro"'))
    assert any(each.startswith("web: /etc/letsencrypt has no certificates on a machine") for each in told["warnings"])


def test_a_front_door_behind_a_proxy_that_is_not_in_the_file_is_led_to_at_the_port_that_it_exposes(tmp_path):
    model, told = rendered(tmp_path, "services: {web: {image: shop/web, expose: ['3000']}, jobs: {image: shop/web}}")
    assert (told["front_door"], told["port"]) == ("web", 3000)
    assert "edge" in model["services"]["web"]["networks"]
    assert "ports" not in model["services"]["web"]


MACHINES = """
services:
  web:
    image: nginx:1.28
    ports: ["80:80"]
    volumes: ["/srv/shop/media:/usr/share/nginx/media:ro", "{other}"]
  api:
    image: registry.example.com/api:1
    volumes: ["/srv/shop/media:/app/media"]
"""


def test_a_folder_of_some_machine_that_containers_keep_things_in_is_a_volume_for_all_who_mount_it(tmp_path):
    model, told = rendered(tmp_path, MACHINES.format(other="/var/lib/shop/sites:/sites"), machines=2)
    kept = {"type": "volume", "source": "machine-srv-shop-media"}
    web, api = (model["services"][name] for name in ("web", "api"))
    assert web["volumes"][0].items() >= {**kept, "target": "/usr/share/nginx/media", "read_only": True}.items()
    assert api["volumes"][0].items() >= {**kept, "target": "/app/media"}.items()
    assert model["volumes"] == {"machine-srv-shop-media": {"name": "shop_machine-srv-shop-media"}}
    warning = "api: /srv/shop/media is no folder of the project, so it is kept like a named volume, without what is in it here"
    assert warning in told["warnings"]
    # Where every machine has such folders, it stays one of the machine, and what backs it up is told.
    assert web["volumes"][1]["source"] == "/var/lib/shop/sites"
    assert web["labels"]["org.berth.folders"] == "/var/lib/shop/sites"
    assert told["volumes"] == ["/var/lib/shop/sites", "machine-srv-shop-media"]
    assert any("has a /var/lib/shop/sites and a machine-srv-shop-media of its own" in each for each in told["warnings"])


def test_so_it_is_on_an_instance(tmp_path):
    write(tmp_path, MACHINES.format(other="/var/lib/shop/sites:/sites"))
    selection = select(project(tmp_path), Options())
    document = dockerrun.version_2(project(tmp_path), selection, Options())
    assert {each["name"]: each["host"]["sourcePath"] for each in document["volumes"]} == {
        "host-var-lib-shop-sites": "/var/lib/shop/sites",
        "machine-srv-shop-media": "/var/lib/berth/volumes/machine-srv-shop-media",
    }
    assert any(each.startswith("api: /srv/shop/media, which is no folder of the project, is kept") for each in selection.notes.warnings)


@pytest.mark.parametrize(
    "mount",
    [
        "/home/me/.ssh:/root/.ssh",
        "/home/me/settings.json:/app/settings.json",
        "/usr/bin/docker:/usr/bin/docker",
        "/:/rootfs",
        "/opt/x:/etc/x",
        "/bundle:/bundle",
        "/srv/cache:/app/node_modules",
    ],
)
def test_what_is_no_data_stays_behind_with_a_word(tmp_path, mount: str):
    model, told = rendered(tmp_path, MACHINES.format(other=mount))
    assert len(model["services"]["web"]["volumes"]) == 1
    assert any(f"volume {mount} is not carried: the path is of the developer's machine" in each for each in told["warnings"])


@pytest.mark.parametrize(
    ("mount", "there", "dropped"),
    [
        # Over the program, where the image has another one; of the developer's machine; and beside it, where it is the developer's own.
        ("./db.sqlite3:/app/db.sqlite3", True, True),
        ("./db.sqlite3:/app/db.sqlite3", False, True),
        ("/srv/shop/db.sqlite3:/data/db.sqlite3", False, True),
        ("/srv/shop:/data/db.sqlite3", False, True),
        ("./var/shop.db:/data/shop.db", True, False),
    ],
)
def test_a_database_in_one_file_is_told_of(tmp_path, mount: str, there: bool, dropped: bool):
    git(tmp_path, "init", "--quiet")
    put(tmp_path, "Dockerfile", "FROM python\nWORKDIR /app\nCOPY . .\n")
    if there:
        put(tmp_path, mount.split(":")[0])
    text = json.dumps({"services": {"web": {"image": "shop/web:1", "build": ".", "volumes": [mount]}}})
    model, told = rendered(tmp_path, text)
    words = "let the program keep it in a folder of its own, and mount that"
    assert [each.startswith("web: volume ") for each in told["warnings"] if words in each] == [dropped]
    assert len(model["services"]["web"].get("volumes") or []) == (not dropped)
    notes = select(project(tmp_path)._replace(repository=repository_of(str(tmp_path), run)), Options())
    document = dockerrun.version_2(project(tmp_path), notes, Options())
    assert len(document.get("volumes") or []) == (not dropped)
    assert [each.startswith("web: volume ") for each in notes.notes.warnings if words in each] == [dropped]


def test_outside_of_a_repository_a_folder_that_is_not_there_is_one_that_containers_write_into(tmp_path):
    put(tmp_path, "Dockerfile", "FROM python\nWORKDIR /app\nCOPY . .\n")
    text = "services:\n  web:\n    image: shop/web:1\n    build: .\n    ports: ['80:80']\n    volumes: ['./media:/app/media', './other:/data/other']\n"
    model, _told = rendered(tmp_path, text)
    assert {each["source"]: each["target"] for each in model["services"]["web"]["volumes"]} == {
        "folder-media": "/app/media",
        "folder-other": "/data/other",
    }
    options = Options(delivered=True)
    document = dockerrun.version_2(project(tmp_path), select(project(tmp_path), options), options)
    assert {each["name"] for each in document["volumes"]} == {"folder-media", "folder-other"}


def test_what_visitors_speak_to_runs_on_whatever_it_says_of_restarts(tmp_path):
    text = """
services:
  web: {image: "nginx:1.28", ports: ["80:80"], restart: "no"}
  worker: {image: "registry.example.com/worker:1", deploy: {restart_policy: {condition: none}}, healthcheck: {test: ["CMD", "true"]}}
  migrate: {image: "registry.example.com/worker:1", restart: "no"}
"""
    model, told = rendered(tmp_path, text)
    assert {name: service["restart"] for name, service in model["services"].items()} == {
        "web": "unless-stopped",
        "worker": "unless-stopped",
        "migrate": "no",
    }
    assert told["once"] == ["migrate"]
    assert "restart_policy" not in model["services"]["worker"]["deploy"]


CODE = """
services:
  api:
    build: ./api
    ports: ["80:3000"]
    volumes: ["code:/app", "modules:/app/node_modules", "gems:/usr/local/bundle", "uploads:/app/uploads"]
  other:
    image: registry.example.com/other:1
    volumes: ["cache:/srv/node_modules"]
volumes: {code: , modules: , gems: , uploads: , cache: }
"""


def test_a_volume_over_what_a_built_image_has_installed_is_left_out_and_one_over_its_program_is_told_of(tmp_path):
    put(tmp_path, "api/Dockerfile", "FROM node:22-slim\nWORKDIR /app\nCOPY . .\n")
    given = {"images": {"api": "registry.example.com/api:1"}}
    model, told = rendered(tmp_path, CODE, **given)
    assert [each["source"] for each in model["services"]["api"]["volumes"]] == ["code", "uploads"]
    assert set(model["volumes"]) == {"code", "uploads", "cache"}
    assert "api: volume modules:/app/node_modules is not carried: the image has what it installed there" in told["warnings"]
    assert "api: volume gems:/usr/local/bundle is not carried: the image has what it installed there" in told["warnings"]
    assert any("volume code is mounted over /app, where the image has its program: a volume is filled" in each for each in told["warnings"])
    selection = select(project(tmp_path), Options(**given))
    document = dockerrun.version_2(project(tmp_path), selection, Options(**given))
    (api,) = (each for each in document["containerDefinitions"] if each["name"] == "api")
    assert [each["sourceVolume"] for each in api["mountPoints"]] == ["code", "uploads"]
    assert any("over /app, where the image has its program, and an instance's folder is empty" in each for each in selection.notes.warnings)


LENDS = """
services:
  app:
    build: .
    volumes: [".:/srv/app", "/srv/static", "/srv/app/node_modules", "./settings.ini:/etc/app/settings.ini:ro"]
  web: {image: nginx, ports: ["80:80"], volumes_from: [app], depends_on: [app]}
"""


def test_who_takes_the_volumes_of_another_sees_what_that_ones_image_has_there(tmp_path):
    put(tmp_path, "Dockerfile", "FROM node\nWORKDIR /srv/app\nCOPY . .\n")
    put(tmp_path, "settings.ini")
    model, _told = rendered(tmp_path, LENDS, images={"app": "shop/app:1"})
    assert [(each["type"], each["target"]) for each in model["services"]["app"]["volumes"]] == [
        ("bind", "/etc/app/settings.ini"),
        ("volume", "/srv/app"),
        ("volume", "/srv/static"),
        ("volume", "/srv/app/node_modules"),
    ]
    assert model["services"]["web"]["volumes_from"] == ["app"]
    # A volume without a name begins with what the image has there.
    assert not any(each.get("source") for each in model["services"]["app"]["volumes"] if each["type"] == "volume")


def test_on_an_instance_it_is_told_how(tmp_path):
    put(tmp_path, "Dockerfile", "FROM node\nWORKDIR /srv/app\nCOPY . .\n")
    write(tmp_path, LENDS)
    found = project(tmp_path)
    selection = select(found, Options(images={"app": "shop/app:1"}))
    dockerrun.version_2(found, selection, Options(images={"app": "shop/app:1"}))
    assert (
        "app: what its image has in /srv/app and /srv/static is seen by who takes its volumes (volumes_from) where its Dockerfile says VOLUME for it, "
        "and not before" in selection.notes.warnings
    )


OUTSIDE = """
services:
  web:
    image: shop/web:1
    labels: {caddy: shop.example.com, caddy.reverse_proxy: "{{upstreams 3000}}"}
    networks: [edge]
  api:
    image: shop/api:1
    labels: {caddy: shop.example.com, caddy.handle_path: /api/*, caddy.handle_path.reverse_proxy: "{{upstreams 8000}}"}
    environment: {DATABASE_URL: "postgres://me:pw@db/app"}
    networks: [edge, default]
  db: {image: "postgres:17"}
networks:
  edge: {external: true}
"""


def test_beside_a_database_a_proxy_outside_is_stood_in_for_as_well(tmp_path):
    model, told = rendered(tmp_path, OUTSIDE, connections={"db": STORE})
    assert told["front_door"] == "proxy"
    assert "reverse_proxy api:8000" in model["services"]["proxy"]["environment"]["CADDYFILE"]
    assert model["services"]["api"]["environment"]["DATABASE_URL"].startswith("postgres://app:p%25w@10.1.0.2")
    assert not (model["networks"]["edge"] or {}).get("external")


LINKED = """
services:
  web:
    image: shop/web:1
    ports: ["80:3000"]
    links: [api, "db:postgres", cache]
    external_links: [another_redis]
    environment: {PGHOST: postgres, PGUSER: app, PGPASSWORD: secret, PGDATABASE: app}
    deploy: {resources: {limits: {memory: 128m}}}
  api: {image: shop/api:1, volumes_from: [db], network_mode: "service:cache"}
  db: {image: "postgres:17"}
  cache: {image: "redis:8"}
"""


def accepted(folder: Path, model: dict[str, Any]) -> tuple[int, str]:
    """What Compose says of a release's model."""
    named = release_model.named(model, "shop", "r1-0c1d2e3f")
    path = folder / "release.json"
    path.write_text(json.dumps({key: value for key, value in named.items() if not key.startswith("x-")}))
    done = subprocess.run(["docker", "compose", "--file", str(path), "config", "--quiet"], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_a_release_names_no_container_that_is_not_in_it_and_has_one_limit_of_each_kind(tmp_path):
    model, told = rendered(tmp_path, LINKED, connections={"db": STORE, "cache": CACHE})
    assert accepted(tmp_path, model) == (0, "")
    web, api = model["services"]["web"], model["services"]["api"]
    assert web["links"] == ["api"] and web["environment"]["PGHOST"] == "10.1.0.2"
    assert {"db:10.1.0.2", "postgres:10.1.0.2", "cache:10.1.0.3"} <= set(web["extra_hosts"])
    assert web["deploy"]["resources"]["limits"] == {"memory": "134217728", "pids": 4096} and "pids_limit" not in web
    assert "network_mode" not in api
    for each in ("web: external_links another_redis", "api: volumes_from db", "api: network_mode service:cache"):
        assert f"{each} is not carried: that container is not among these" in told["warnings"]


ALIKE = """
services:
  web:
    image: shop/web:1
    ports: ["80:3000"]
    links: ["web_db:postgres"]
    environment: {PGHOST: postgres, PGUSER: app, PGPASSWORD: secret, PGDATABASE: app}
  geo: {image: shop/geo:1, links: ["geo_db:postgres"], environment: {PGHOST: postgres, PGUSER: geo, PGPASSWORD: old, PGDATABASE: geo}}
  web_db: {image: "postgres:17"}
  geo_db: {image: "postgres:17"}
"""


def test_two_services_that_call_two_stores_alike_are_each_led_to_their_own(tmp_path):
    model, _told = rendered(tmp_path, ALIKE, connections={"web_db": STORE}, keep=["geo_db"])
    assert accepted(tmp_path, model) == (0, "")
    web, geo = model["services"]["web"], model["services"]["geo"]
    assert web["environment"]["PGHOST"] == "10.1.0.2" and "postgres:10.1.0.2" in web["extra_hosts"]
    assert geo["environment"] == {"PGHOST": "postgres", "PGUSER": "geo", "PGPASSWORD": "old", "PGDATABASE": "geo"}
    assert geo["external_links"] == ["geo_db:postgres"] and geo["extra_hosts"] == ["web_db:10.1.0.2"]
    led = release_model.led(model, {**model[release_model.ACCESSORIES], "address": "10.1.0.9"})["services"]["geo"]
    assert set(led["extra_hosts"]) == {"web_db:10.1.0.2", "geo_db:10.1.0.9", "postgres:10.1.0.9"} and "external_links" not in led


def test_two_stores_that_are_kept_are_called_alike_by_those_who_are_linked_so(tmp_path):
    model, _told = rendered(tmp_path, ALIKE, keep=["geo_db", "web_db"])
    assert accepted(tmp_path, model) == (0, "")
    assert [model["services"][each]["external_links"] for each in ("web", "geo")] == [["web_db:postgres"], ["geo_db:postgres"]]
    assert model[release_model.ACCESSORIES]["joins"] == {"geo_db": {"default": ["geo_db"]}, "web_db": {"default": ["web_db"]}}


def test_a_service_whose_name_has_a_dot_is_refused_where_ecs_runs_it_alone(tmp_path):
    model, _told = rendered(tmp_path, "services:\n  app.v1: {image: 'shop/web:1', ports: ['80:3000']}\n")
    assert accepted(tmp_path, model) == (0, "")
    with pytest.raises(BerthError, match="ECS takes letters"):
        select(project(tmp_path), Options())


def test_what_is_rendered_of_all_that_compose_knows_is_accepted_by_it(tmp_path):
    text = (Path(__file__).parent / "projects/everything/compose.yaml").read_text()
    for name in ("nginx.conf", "settings.ini"):
        put(tmp_path, name)
    model, _told = rendered(tmp_path, text, front_door=None)
    assert accepted(tmp_path, model) == (0, "")
