"""The instances of an environment: each runs the task once, and is healthy when its front door says so."""

from __future__ import annotations

import http.client
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import tasks
from . import extensions, options
from .bundle import BundleError

_MOST_INSTANCES = 2


def now() -> datetime:
    """The time, as the API tells it."""
    return datetime.now(UTC)


@dataclass
class Instance:
    """One instance: an id as EC2 gives it, and the task that it runs."""

    task: tasks.Task
    id: str = field(default_factory=lambda: "i-" + secrets.token_hex(9)[:17])
    launched: datetime = field(default_factory=now)
    problem: str = ""
    restarts: int = 0

    def check(self, settings: dict[options.Key, str]) -> bool:
        """Whether the instance is healthy; ``problem`` says why not."""
        ended = self.task.exited()
        broken = sorted(set(ended) & self.task.essential())
        if broken:
            # ECS's own words: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
            memory = "; OutOfMemoryError: Container killed due to memory usage" if broken[0] in self.task.out_of_memory() else ""
            self.problem = f"ECS task stopped: essential container {broken[0]} exited with code {ended[broken[0]]}{memory}"
            return False
        for name, container in self.task.containers().items():
            if (container.attrs["State"].get("Health") or {}).get("Status") == "unhealthy":
                self.problem = f"container {name} fails its health check"
                return False
        process = f"{options.PROCESS}default"
        port = int(options.value(settings, process, "Port") or 80)
        target = self.task.address_of(port)
        if target is None:
            self.problem = f"no container publishes port {port}, where the load balancer looks"
            return False
        self.problem = _asked(
            target, options.value(settings, process, "HealthCheckPath"), options.value(settings, process, "MatcherHTTPCode")
        )
        return not self.problem


def _asked(target: tuple[str, int], path: str, codes: str) -> str:
    """What is wrong with the answer to a health check; empty when nothing is."""
    connection = http.client.HTTPConnection(*target, timeout=5)
    try:
        connection.request("GET", path or "/")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"the health check of {path or '/'} got no answer: {error}"
    finally:
        connection.close()
    wanted = status in _codes(codes) if codes else status < 400
    return "" if wanted else f"the health check of {path or '/'} was answered with {status}"


def _codes(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, _dash, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def launch(environment_id: str, name: str, document: dict[str, Any], settings: dict[options.Key, str], folder: Path) -> list[Instance]:
    """Start as many instances as the environment has at least. Raises :class:`tasks.TaskError` and
    :class:`.bundle.BundleError`, with nothing left running."""
    count = min(_MOST_INSTANCES, max(1, int(options.value(settings, "aws:autoscaling:asg", "MinSize") or 1)))
    started: list[Instance] = []
    try:
        for _number in range(count):
            short = secrets.token_hex(2)
            properties = {option: value for (namespace, option), value in settings.items() if namespace == options.ENVIRONMENT}
            references = {option: value for (namespace, option), value in settings.items() if namespace == options.SECRETS}
            task = tasks.Task(
                f"eb-{name}-{short}",
                document,
                kind="beanstalk",
                owner=environment_id,
                environment=properties,
                secrets=references,
                bundle=str(folder),
            )
            started.append(Instance(task))
            extensions.run(folder, task.folders())
            task.start()
    except (tasks.TaskError, BundleError):
        stop(started, 0)
        raise
    return started


def stop(instances: list[Instance], grace: int | None = None) -> None:
    """Stop and remove the tasks of instances."""
    for instance in instances:
        instance.task.stop(grace)


def wait_until_healthy(instances: list[Instance], settings: dict[options.Key, str]) -> str:
    """Wait until every instance is healthy, at most the environment's command timeout. Returns what is wrong, or nothing.

    An essential container that ended is started again twice, as ECS would; a third end is what is wrong.
    """
    end = time.monotonic() + float(options.value(settings, "aws:elasticbeanstalk:command", "Timeout") or 600)
    while True:
        sick = [instance for instance in instances if not instance.check(settings)]
        if not sick:
            return ""
        for instance in sick:
            if instance.problem.startswith("ECS task stopped"):
                if instance.restarts == 2:
                    return instance.problem
                instance.restarts += 1
                restart(instance)
        if time.monotonic() > end:
            return f"timed out: {sick[0].problem}"
        time.sleep(0.3)


def restart(instance: Instance) -> None:
    """Start the containers of an instance that ended, as the ECS agent does."""
    for container in instance.task.containers().values():
        if container.status in ("exited", "dead", "created"):
            container.start()
