"""All three homes of one project at once, each by its inventory, and how its data gets from the one to the other."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rehearsal import images, server
from rehearsal.rules import kill_tree
from tests.machine.conftest import EVERY, ROOT, Cloud, at_length, ip_range
from tests.machine.database import Database, Writer
from tests.machine.moving import DROPLETS, HERE, NAME, OnAws, OnDroplet, Session

LOCAL, DROPLET, AWS = "inventories/local", "inventories/digitalocean", "inventories/aws"
# Each way once, and each begins where the one before ended.
WAYS = list(pairwise((LOCAL, DROPLET, AWS, LOCAL, AWS, DROPLET, LOCAL)))
# Without these each begins where the one before ended, too.
_AT_LENGTH = {(AWS, LOCAL), (LOCAL, AWS), (DROPLET, LOCAL)}
TAKEN = [way for way in WAYS if EVERY or way not in _AT_LENGTH]


def _named(number: int) -> Any:
    way = WAYS[number]
    return pytest.param(
        number, id=" to ".join(each.rpartition("/")[2] for each in way), marks=() if way in TAKEN else at_length("a minute")
    )


# A test of each, by its number.
each_way = pytest.mark.parametrize("number", [_named(number) for number in range(len(WAYS))])
# What lets changes be read from a log; the local one is told so in its Compose file.
ON_DROPLETS = {"digitalocean_ip_range": ip_range(1), "backup_bucket": "", "postgres_container_settings": {"wal_level": "logical"}}
ON_AWS = {"aws_profile": "small", "postgres_rds_parameters": {"rds.logical_replication": "1"}}


@dataclass
class Homes(OnDroplet, OnAws):
    """All three."""

    def session(self, home: str, database: str = "") -> Session:
        """How the app has a session in a home's Postgres; by default in its own database."""
        if home == DROPLET:
            variable = f"{database.upper()}_DATABASE_URL" if database else "DATABASE_URL"
            return self.droplet.client(f'exec psql -qAt -v ON_ERROR_STOP=1 "${variable}"'), {}
        if home == LOCAL:
            return ([*HERE[0], "-d", database], {}) if database else HERE
        return self.session_there(database)

    def ask(self, home: str, query: str, database: str = "") -> str:
        """What a home's Postgres answers to the app; by default its own database. Raises :class:`OSError`."""
        words, more = self.session(home, database)
        done = subprocess.run(words, input=query, env={**os.environ, **more}, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise OSError(done.stderr)
        return done.stdout.strip()

    def key(self, home: str, *words: str) -> str:
        """What a home's Redis answers to the app."""
        if home == DROPLET:
            return self.droplet_keys(" ".join(words))
        return (self.queue if home == LOCAL else self.keys)(*words)

    def writable(self, home: str, database: str = "") -> bool:
        """Whether a home's Postgres takes the app's writes; by default in its own database."""
        try:
            self.ask(home, "insert into written values (0); delete from written where number = 0", database)
        except OSError as error:
            assert "read-only" in str(error) or "does not exist" in str(error), error
            return False
        return True

    def shot(self, phase: str, seconds: float, **way: object) -> bool:
        """Begin a phase, and kill it within so many seconds. Returns whether it was killed before its end."""
        run = subprocess.Popen(
            self.command(migrate=phase, **way), cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(random.uniform(1, seconds))
        running = run.poll() is None
        kill_tree(run.pid)
        run.wait()
        return running


@contextmanager
def everywhere(cloud: Cloud, root: Path) -> Iterator[Homes]:
    """The project on this machine, with data, and on a droplet and on AWS, with empty stores."""
    images.ensure(["postgres:17", "postgres:17.7", "redis:8", "nginx:1.28"])
    server.digitalocean(["nginx:1.28"])
    folder = root / "project"
    environment = {**os.environ, **cloud.environment, "XDG_DATA_HOME": str(root / "data")}
    droplet = Database(NAME, "", environment, "", "digitalocean", project=folder, droplets=DROPLETS, given=ON_DROPLETS)
    told = {"digitalocean_droplets": DROPLETS, **ON_DROPLETS, **ON_AWS}
    found = Homes(AWS, folder, environment, told, cloud=cloud, droplet=droplet)

    def stores_of_aws() -> None:
        found.playbook(AWS, "platform.yml")
        found.playbook(AWS, "data_tier.yml")

    try:
        found.start()
        with ThreadPoolExecutor() as pool:
            for each in [pool.submit(droplet.run, "site.yml"), pool.submit(stores_of_aws)]:
                each.result()
        yield found
    finally:
        Writer.stop_all()
        with ThreadPoolExecutor() as pool:
            gone: list[Future[Any]] = [pool.submit(droplet.put_away, *droplet.told())]
            gone.append(pool.submit(found.playbook, AWS, "destroy.yml", "-e", f"destroy={NAME}"))
            found.stop()
            for each in gone:
                each.result()
