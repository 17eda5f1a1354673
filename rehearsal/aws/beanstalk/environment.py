"""An environment: what it runs, how it is, what happened to it, and how it changes."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import string
import threading
from collections.abc import Callable
from typing import Any

from ... import containers, state
from .. import clock, tasks
from ..balancer import Balancer
from . import bundle, extensions, instances, options, platforms, requests
from .instances import Instance, now

_EVENTS_KEPT = 1000
_COLORS = {"Ok": "Green", "Info": "Green", "Pending": "Grey", "Warning": "Yellow", "Degraded": "Red", "Severe": "Red", "No Data": "Grey"}
Version = dict[str, Any]


class Environment:
    """One environment. ``settings`` are those that were given; defaults are in :mod:`options`."""

    def __init__(self, region: str, account: str, application: str, name: str, stack: str, arn: str, given: dict[str, Any]) -> None:
        self.id = "e-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(10))
        self.region, self.application, self.name = region, application, name
        self.stack, self.platform_arn = stack, arn
        self.arn = f"arn:aws:elasticbeanstalk:{region}:{account}:environment/{application}/{name}"
        self.description = given.get("Description") or ""
        self.tier = given.get("Tier") or {"Name": "WebServer", "Type": "Standard", "Version": "1.0"}
        self.tags: dict[str, str] = {each["Key"]: each["Value"] for each in given.get("Tags") or []}
        self.tags |= {"elasticbeanstalk:environment-name": name, "elasticbeanstalk:environment-id": self.id, "Name": name}
        self.settings: dict[options.Key, str] = {}
        self.version: str | None = None
        self.status, self.health, self.causes = "Launching", "Pending", ["Creating environment"]
        self.created = self.updated = now()
        self.events: list[dict[str, Any]] = []
        self.balancer = Balancer()
        self.address = self.balancer.address
        self.instances: list[Instance] = []
        self.deployment = 0
        self.request = ""
        self.watch, self.lasting = clock.Stopwatch(), 0.0
        self.ended = threading.Event()
        clock.later(self._watch)

    def describe(self) -> dict[str, Any]:
        """As DescribeEnvironments tells it."""
        alive = self.status != "Terminated"
        return {
            "EnvironmentName": self.name,
            "EnvironmentId": self.id,
            "ApplicationName": self.application,
            **({"VersionLabel": self.version} if self.version else {}),
            "SolutionStackName": self.stack,
            "PlatformArn": self.platform_arn,
            "Description": self.description,
            **({"EndpointURL": self.balancer.address, "CNAME": self.address} if alive else {}),
            "DateCreated": self.created,
            "DateUpdated": self.updated,
            "Status": self.status,
            "AbortableOperationInProgress": self.status == "Updating",
            "Health": _COLORS[self.health],
            "HealthStatus": self.health,
            "Tier": self.tier,
            "EnvironmentLinks": [],
            "EnvironmentArn": self.arn,
        }

    def event(self, message: str, severity: str = "INFO") -> None:
        """Note what happened."""
        entry: dict[str, Any] = {"EventDate": now(), "Message": message, "ApplicationName": self.application, "EnvironmentName": self.name}
        request = requests.current.get() or self.request
        self.events.append({**entry, "PlatformArn": self.platform_arn, "Severity": severity, **({"RequestId": request} if request else {})})
        del self.events[:-_EVENTS_KEPT]

    def change(self, status: str, work: Callable[[], None], *, after: str = "Ready") -> None:
        """Be in ``status`` while ``work`` is done in the background, at least as long as changes last here."""
        self.status, self.updated, self.request = status, now(), requests.current.get()

        def run() -> None:
            self.watch, self.lasting = clock.Stopwatch(), clock.seconds("beanstalk")
            try:
                work()
            except Exception as error:
                self.event(f"Failed: {error}", "ERROR")
                raise
            finally:
                self.lasted()
                self.status, self.updated, self.request = after, now(), ""

        clock.later(run)

    def lasted(self) -> None:
        """Wait until the change has lasted as long as changes do here: its last events say that it is over."""
        self.watch.wait(self.lasting)

    def launch(self, version: Version | None) -> None:
        """Create what the environment runs on, and deploy its first version."""
        self.event("createEnvironment is starting.")
        self.event(f"Using elasticbeanstalk-{self.region} as Amazon S3 storage bucket for environment data.")

        def work() -> None:
            self.event(f"Created load balancer at {self.balancer.address}.")
            if version is None:
                self.health, self.causes = "No Data", ["No application version is deployed"]
                self.event(f"Successfully launched environment: {self.name}")
                return
            problem = self._deploy(version, self.settings, beside=False)
            if problem:
                self.event(f"Failed to deploy application: {problem}", "ERROR")
                self.event(
                    "Create environment operation is complete, but with errors. For more information, see troubleshooting documentation.",
                    "ERROR",
                )
                return
            self.lasted()
            self.event(f"Application available at {self.address}.")
            self.event(f"Successfully launched environment: {self.name}")

        self.change("Launching", work)

    def update(self, version: Version | None, settings: dict[options.Key, str], label: str | None) -> None:
        """Deploy a version, or change settings, or both."""
        self.event("Environment update is starting.")
        old = self.settings
        restart = settings != old or label != self.version

        def work() -> None:
            policy = options.value(settings, "aws:elasticbeanstalk:command", "DeploymentPolicy")
            self.settings = settings
            problem = self._deploy(version, settings, beside=policy != "AllAtOnce") if version and restart else ""
            if problem:
                self.event(f"Failed to deploy application: {problem}", "ERROR")
                if policy != "AllAtOnce":
                    self.settings = old
                    self.event(
                        f"The environment was reverted to the previous configuration setting; version {self.version} keeps serving.",
                        "ERROR",
                    )
                return
            self.lasted()
            self.event("Environment update completed successfully.")
            if label is not None:
                self.event("New application version was deployed to running EC2 instances.")

        self.change("Updating", work)

    def rebuild(self, version: Version | None) -> None:
        """Terminate everything, and launch it anew."""
        self.event("rebuildEnvironment is starting.")

        def work() -> None:
            self._drain()
            problem = self._deploy(version, self.settings, beside=False) if version else ""
            self.event(
                f"Failed to rebuild: {problem}" if problem else "Environment rebuild completed successfully.",
                "ERROR" if problem else "INFO",
            )

        self.change("Updating", work)

    def restart_app(self, version: Version | None) -> None:
        """Start all containers anew."""
        self.event("restartAppServer is starting.")

        def work() -> None:
            if version:
                self._deploy(version, self.settings, beside=True)
            self.event("Successfully restarted the application on all instances.")

        self.change("Updating", work)

    def terminate(self) -> None:
        """Take everything away."""
        self.event("terminateEnvironment is starting.")

        def work() -> None:
            self.ended.set()
            self._drain()
            self.balancer.close()
            for each in containers.client().volumes.list(filters={"label": f"{containers.LABEL}.owner={self.id}"}):
                with contextlib.suppress(Exception):
                    each.remove(force=True)
            shutil.rmtree(state.folder("bundles", self.id), ignore_errors=True)
            self.event("terminateEnvironment completed successfully.")
            self.health, self.causes = "No Data", []

        self.change("Terminating", work, after="Terminated")

    def _drain(self) -> None:
        self.balancer.targets = ()
        instances.stop(self.instances)
        self.instances = []

    def _deploy(self, version: Version, settings: dict[options.Key, str], *, beside: bool) -> str:
        """Bring a version into service. Returns what went wrong, or nothing.

        ``beside``: new instances take over only once they are healthy, and until then the old ones serve (rolling with an additional
        batch, immutable); else the old ones are stopped first (all at once).
        """
        source, label = version["SourceBundle"], version["VersionLabel"]
        self.deployment += 1
        self.health, self.causes = ("Info" if self.instances else "Pending"), ["Command is executing on all instances"]
        self.event("Deploying new version to instance(s).")
        try:
            if not platforms.runs_tasks(self.stack) and not self.stack.endswith("running Docker"):
                raise bundle.BundleError(f"the rehearsal runs the ECS and Docker platforms, not {self.stack}")
            folder = bundle.unpack(self.region, source["S3Bucket"], source["S3Key"], self.id, str(self.deployment))
            document = bundle.task_of(folder)
            for each in extensions.left_out(folder):
                self.event(each, "WARN")
            if not beside:
                self._drain()
            fresh = instances.launch(self.id, self.name, document, settings, folder)
        except (bundle.BundleError, tasks.TaskError) as error:
            self.health, self.causes = ("Degraded" if self.instances else "Severe"), [str(error)]
            self.event(f"Instance deployment failed. {error}", "ERROR")
            return str(error)
        problem = instances.wait_until_healthy(fresh, settings)
        if problem and beside and self.instances:
            self.event(f"During an aborted deployment, the new instances were removed: {problem}", "ERROR")
            instances.stop(fresh, 0)
            self.health, self.causes = "Degraded", [f"Incorrect application version: the last deployment failed. {problem}"]
            return problem
        if not problem:
            self.version = label
        old, self.instances = self.instances, fresh
        self._route()
        instances.stop(old)
        self.health, self.causes = ("Severe", [problem]) if problem else ("Ok", [])
        return problem

    def _route(self) -> None:
        port = int(options.value(self.settings, f"{options.PROCESS}default", "Port") or 80)
        self.balancer.targets = [target for instance in self.instances if (target := instance.task.address_of(port))]

    def _watch(self) -> None:
        """Look after the instances: start what ended again, and say how they are."""
        while not self.ended.wait(2):
            if self.status != "Ready" or not self.instances:
                continue
            with contextlib.suppress(Exception):
                sick = [instance for instance in self.instances if not instance.check(self.settings)]
                for instance in sick:
                    if instance.problem.startswith("ECS task stopped"):
                        self.event(f"{instance.problem} on instance {instance.id}; starting it again", "WARN")
                        instances.restart(instance)
                self._route()
                before = self.health
                if self.health == "Degraded" and not sick and self.causes and "last deployment" in self.causes[0]:
                    continue
                self.health = "Ok" if not sick else "Severe" if len(sick) == len(self.instances) else "Degraded"
                self.causes = [instance.problem for instance in sick]
                if before != self.health:
                    why = f" {self.causes[0]}." if self.causes else ""
                    self.event(f"Environment health has transitioned from {before} to {self.health}.{why}", "WARN" if sick else "INFO")

    def tail(self) -> list[tuple[str, str]]:
        """Each instance's last log lines. Those of instances that a failed deployment took away are gone with them."""
        return [
            (instance.id, "\n".join(f"----- {name}\n{log}" for name, log in instance.task.logs().items())) for instance in self.instances
        ]
