"""An RDS for PostgreSQL instance as a real server: its major version, its parameter group, its users, its data."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import certificates, containers, state

PORT = 5432
_OWNER = "rdsadmin"  # the service's own superuser, as on RDS
_UID = 999  # of postgres in the official image
_FOLDER = "/etc/rds"
# Parameters of a parameter group that a server outside RDS does not have, or that this module applies itself.
_NOT_SERVER = ("rds.", "shared_preload_libraries", "log_destination", "max_connections", "shared_buffers", "effective_cache_size")


def image(version: str) -> str:
    """The image of a version: of its major, since minor releases keep the data's format."""
    return f"postgres:{version.split('.')[0]}"


# An instance that is renamed keeps its server: by its identifier, whom the server was made for.
_owners: dict[str, str] = {}
_ARCHIVE = "/archive"
_KEEP = f"test -f {_ARCHIVE}/%f || (cp %p {_ARCHIVE}/%f.new && mv {_ARCHIVE}/%f.new {_ARCHIVE}/%f)"


def _name(owner: str) -> str:
    return f"rds-{owner}"


def _volumes(owner: str) -> dict[str, Any]:
    data, archive = (containers.volume(f"{_name(owner)}{kind}", owner) for kind in ("", "-archive"))
    return {data: {"bind": "/var/lib/postgresql/data", "mode": "rw"}, archive: {"bind": _ARCHIVE, "mode": "rw"}}


def create(
    identifier: str, version: str, address: str, port: int, parameters: Mapping[str, str], *, rewound: tuple[str, str] | None = None
) -> Any:
    """Start a server, and wait until it answers. Returns its container. ``rewound``: another instance, whose data it has, as of a time
    (empty: all there is); its volume is empty otherwise.
    """
    owner = f"{identifier}-{secrets.token_hex(2)}" if containers.find("rds", identifier) else identifier
    volumes = _volumes(owner)
    if rewound:
        _rewind(image(version), volumes, *rewound)
    certificate, key = certificates.issue(f"{identifier}.rds.amazonaws.com", [address], by=certificates.RDS)
    folder = {
        f"{_FOLDER}/server.pem": (certificate, 0o644, _UID),
        f"{_FOLDER}/server.key": (key, 0o600, _UID),
        f"{_FOLDER}/pg_hba.conf": (_access(parameters), 0o644, _UID),
    }
    container = containers.create(
        _name(owner),
        image(version),
        kind="rds",
        owner=owner,
        address=address,
        files=folder,
        environment={"POSTGRES_USER": _OWNER, "POSTGRES_PASSWORD": secrets.token_hex(24), "POSTGRES_DB": "rdsadmin"},
        command=[
            "postgres",
            *("-c", f"hba_file={_FOLDER}/pg_hba.conf", "-c", "ssl=on", "-c", f"port={port}"),
            *("-c", f"ssl_cert_file={_FOLDER}/server.pem", "-c", f"ssl_key_file={_FOLDER}/server.key"),
            *("-c", "archive_mode=on", "-c", f"archive_command={_KEEP}"),
        ],
        volumes=volumes,
        shm_size=256 * 1024 * 1024,
    )
    _owners[identifier] = owner
    container.start()
    containers.run_in(container, ["chown", "postgres:postgres", _ARCHIVE], user="root")
    # Through TCP: while the image initialises, its server listens on the socket alone.
    containers.wait_until(
        lambda: containers.run_in(container, ["pg_isready", "--host", "127.0.0.1", "--port", str(port)]),
        120,
        f"the Postgres of {identifier} does not answer",
    )
    containers.wait_until(lambda: query(container, "SELECT pg_is_in_recovery();") == "f", 120, f"{identifier} does not recover")
    apply(container, parameters)
    return container


def back_up(container: Any) -> None:
    """Keep what a server holds at the beginning, from which, with its log, any later moment of it is restored."""
    folder = f"{_ARCHIVE}/base"
    containers.run_in(container, ["rm", "-rf", folder], user="postgres")
    containers.run_in(
        container,
        ["pg_basebackup", "-U", _OWNER, "-p", _port(container), "-D", folder, "--checkpoint=fast", "-X", "fetch"],
        user="postgres",
    )


def archive(identifier: str) -> None:
    """Have the whole log of an instance archived."""
    container = find(identifier)
    if container is None:
        return
    # A time is over when something was committed after it.
    wanted = query(container, "SELECT pg_current_xact_id();\nSELECT pg_walfile_name(pg_switch_wal());").splitlines()[-1]
    done = "SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver;"
    containers.wait_until(lambda: query(container, done) >= wanted, 60, f"the log of {identifier} is not archived")


def _rewind(image_: str, volumes: dict[str, Any], source: str, time_: str) -> None:
    """Bring an instance's data as of a time into a volume."""
    owner = _owners[source]
    settings = ["restore_command = 'cp /archive/%f %p'", "recovery_target_action = 'promote'"]
    settings += [f"recovery_target_time = '{time_}'"] if time_ else []
    script = 'cp -a /source/base/. /data/ && printf "%s\n" "$SETTINGS" >> /data/postgresql.auto.conf && touch /data/recovery.signal'
    script += " && chown -R postgres:postgres /data && cp -a /source/. /archive/"
    data, kept = volumes
    mounts = {data: {"bind": "/data"}, kept: {"bind": "/archive"}, containers.full_name(f"{_name(owner)}-archive"): {"bind": "/source"}}
    containers.client().containers.run(
        image_,
        ["-c", script],
        entrypoint="sh",
        remove=True,
        network_mode="none",
        volumes=mounts,
        environment={"SETTINGS": "\n".join(settings)},
    )


def rename(old: str, new: str) -> None:
    """Let an instance have another identifier."""
    _owners[new] = _owners.pop(old)


def _access(parameters: Mapping[str, str]) -> bytes:
    """pg_hba.conf: rds.force_ssl, on by default since version 15, refuses what does not speak TLS."""
    kind = "host" if parameters.get("rds.force_ssl", "1") == "0" else "hostssl"
    return f"local all all trust\nlocal replication all trust\n{kind} all all all scram-sha-256\n".encode()


def find(identifier: str) -> Any | None:
    """The server's container, or None."""
    owner = _owners.get(identifier)
    return next(iter(containers.find("rds", owner)), None) if owner else None


def _port(container: Any) -> str:
    return next(str(word).partition("=")[2] for word in container.attrs["Config"]["Cmd"] if word.startswith("port="))


def query(container: Any, sql: str, database: str = "postgres", **values: str) -> str:
    """Run SQL as the service's superuser. ``values`` are psql variables; they travel in the environment, not in the process list."""
    port = _port(container)
    settings = "".join(f"\\getenv {name} BERTH_{name.upper()}\n" for name in values)
    script = f"{settings}{sql}\n"
    environment = {f"BERTH_{name.upper()}": value for name, value in values.items()} | {"BERTH_SQL": script}
    command = f'printf "%s" "$BERTH_SQL" | psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 -At -U {_OWNER} -p {port} -d "$0"'
    return containers.run_in(container, ["sh", "-c", command, database], user="postgres", environment=environment).strip()


def make_master(container: Any, username: str, password: str, database: str | None) -> None:
    """The master user, with what RDS lets it do, and the first database."""
    query(
        container,
        """SELECT 'CREATE ROLE rds_superuser NOLOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_superuser') \\gexec
        GRANT pg_monitor, pg_signal_backend, pg_read_all_settings TO rds_superuser WITH ADMIN OPTION;
        CREATE ROLE :"name" LOGIN CREATEDB CREATEROLE PASSWORD :'password';
        GRANT rds_superuser TO :"name" WITH ADMIN OPTION;
        GRANT SET ON PARAMETER session_replication_role TO rds_superuser;
        ALTER ROLE :"name" REPLICATION;
        ALTER DATABASE postgres OWNER TO :"name";""",
        name=username,
        password=password,
    )
    if database and database != "postgres":
        query(container, 'CREATE DATABASE :"wanted" OWNER :"name";', wanted=database, name=username)


def set_password(container: Any, username: str, password: str) -> None:
    """Change the master user's password."""
    query(container, "ALTER ROLE :\"name\" PASSWORD :'password';", name=username, password=password)


def apply(container: Any, parameters: Mapping[str, str]) -> None:
    """Apply a parameter group: what is dynamic at once, the rest at the next restart."""
    containers.put(container, {f"{_FOLDER}/pg_hba.conf": (_access(parameters), 0o644, _UID)})
    query(container, "ALTER SYSTEM RESET ALL;")
    if parameters.get("rds.logical_replication") == "1":
        query(container, "ALTER SYSTEM SET wal_level = 'logical';")
    for name, value in sorted(parameters.items()):
        if not name.startswith(_NOT_SERVER) and "{" not in value:
            try:
                query(container, f"ALTER SYSTEM SET {name} = :'value';", value=value)
            except containers.ContainerError as error:
                print(f"parameter {name}={value} is not applied: {error}", flush=True)
    query(container, "SELECT pg_reload_conf();")


def restart(container: Any, *, forced: bool = False) -> None:
    """Restart the server; ``forced`` as when the machine dies and the standby takes over at the same address."""
    if forced:
        container.reload()
        if container.status == "running":
            container.kill()
        container.start()
    else:
        container.restart(timeout=30)
    containers.wait_until(lambda: query(container, "SELECT 1;"), 120, f"{container.name} does not answer")


def _dump_path(snapshot: str) -> Path:
    return state.folder("snapshots") / f"{snapshot}.sql"


def dump(container: Any, snapshot: str) -> None:
    """Keep everything that a server holds, its users included, under a snapshot's name."""
    command = ["pg_dumpall", "--username", _OWNER, "--port", _port(container), "--clean", "--if-exists"]
    path = _dump_path(snapshot)
    path.touch(mode=0o600)
    _code, stream = container.exec_run(command, user="postgres", stream=True)
    with path.open("wb") as file:
        for part in stream:
            file.write(part)


def load(container: Any, snapshot: str) -> None:
    """Bring back what a snapshot holds into a fresh server."""
    port = _port(container)
    lines = _dump_path(snapshot).read_bytes().splitlines(keepends=True)
    # The service's own superuser is there already, and cannot be dropped while it is connected.
    kept = b"".join(
        line for line in lines if not line.startswith((b"DROP ROLE IF EXISTS rdsadmin", b"CREATE ROLE rdsadmin", b"ALTER ROLE rdsadmin"))
    )
    containers.put(container, {"/tmp/snapshot.sql": (kept, 0o600, _UID)})
    containers.run_in(
        container,
        ["psql", "--no-psqlrc", "--quiet", "-U", _OWNER, "-p", port, "-d", "template1", "-f", "/tmp/snapshot.sql"],
        user="postgres",
    )
    containers.run_in(container, ["rm", "/tmp/snapshot.sql"], user="root")


def copy_snapshot(snapshot: str, name: str) -> None:
    """Keep a snapshot's data under another name too."""
    if name != snapshot:
        shutil.copyfile(_dump_path(snapshot), _dump_path(name))


def drop_snapshot(snapshot: str) -> None:
    """Take a snapshot's data away."""
    _dump_path(snapshot).unlink(missing_ok=True)


def delete(identifier: str) -> None:
    """Take a server and its data away."""
    container = find(identifier)
    if container is not None:
        containers.remove(container.name)
    owner = _owners.pop(identifier, identifier)
    for kind in ("", "-archive"):
        containers.remove_volume(f"{_name(owner)}{kind}")
