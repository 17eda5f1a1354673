"""ECS's API: moto's, with Fargate tasks that run."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.moto_api import state_manager

from .. import containers
from . import clock, tasks
from .beanstalk.instances import now

_LONGEST = 4 * 3600


def install() -> None:
    """Keep moto from moving tasks on by itself: they are where their containers are."""
    state_manager.set_transition("ecs::task", {"progression": "manual", "times": 10**9})


class RehearsedEcs(EC2ContainerServiceResponse):
    """Dispatches a request to the method of its operation."""

    def describe_clusters(self) -> ActionResult:
        for cluster in self.ecs_backend.clusters.values():
            cluster.capacity_providers = cluster.capacity_providers or []
            cluster.default_capacity_provider_strategy = cluster.default_capacity_provider_strategy or []
        return super().describe_clusters()

    def run_task(self) -> ActionResult:
        answer = super().run_task()
        definition = self.ecs_backend.describe_task_definition(self._get_param("taskDefinition"))
        found: Any = answer.result
        for task in found["tasks"]:
            task.status = "PROVISIONING"
            task.containers[0].last_status = "PENDING"
            task.created_at = now()
            clock.later(partial(_run, task, definition, self.ec2_interfaces()))
        return answer

    def ec2_interfaces(self) -> dict[str, Any]:
        """The network interfaces of this account and region, by id."""
        found: dict[str, Any] = ec2_backends[self.current_account][self.region].enis
        return found

    def list_tasks(self) -> ActionResult:
        answer = super().list_tasks()
        if not self._get_param("desiredStatus"):  # those that run, where nothing else is asked for
            found: Any = answer.result
            there = [task for tasks in self.ecs_backend.tasks.values() for task in tasks.values()]
            running = {task.task_arn for task in there if task.desired_status == "RUNNING"}
            found["taskArns"] = [each for each in found["taskArns"] if each in running]
        return answer

    def stop_task(self) -> ActionResult:
        answer = super().stop_task()
        # It is stopped when its containers are.
        found: Any = answer.result
        task = found["task"]
        if not getattr(task, "stopped_at", None):
            task.status = "DEACTIVATING"
        return answer


def _run(task: Any, definition: Any, interfaces: dict[str, Any]) -> None:
    document = {
        "containerDefinitions": definition.container_definitions,
        "volumes": definition.volumes,
        # moto's definitions lack what was not given.
        "executionRoleArn": getattr(definition, "execution_role_arn", None),
    }
    own = tasks.Task(f"ecs-{task.id[:8]}", document, kind="ecs", owner=task.id, identity=task.id)
    names = [each["name"] for each in definition.container_definitions]
    code, why = None, "Essential container in task exited"
    try:
        own.start()
        _reachable(task, interfaces, own)
        task.status, task.started_at = "RUNNING", now()
        task.containers[0].last_status = "RUNNING"

        next_ = 0.0

        def ended() -> bool:
            nonlocal next_
            if time.monotonic() >= next_:  # a task may last
                own.deliver()
                next_ = time.monotonic() + 1
            return task.desired_status == "STOPPED" or bool(own.essential() & set(own.exited()))

        containers.wait_until(ended, _LONGEST, "the task does not end")
        code = own.exited().get(names[0])
        # Its end, where it was asked to stop, is not its own.
        why = why if code is not None else task.stopped_reason
    except Exception as error:  # whatever it is, the task has ended
        why = str(error)
    finally:
        own.stop(0)
        task.containers[0].exitCode = code
        task.containers[0].exit_code = code
        task.containers[0].reason = None if code is not None else why
        task.containers[0].last_status = "STOPPED"
        task.stopped_reason, task.stop_code = why, "EssentialContainerExited" if code is not None else "TaskFailedToStart"
        task.desired_status = "STOPPED"
        task.stopped_at = now()
        task.status = "STOPPED"


def _reachable(task: Any, interfaces: dict[str, Any], own: tasks.Task) -> None:
    """Give the task's network interface a public address, where one was asked for: the first container's, which this machine reaches."""
    asked = (getattr(task, "network_configuration", None) or {}).get("awsvpcConfiguration", {})
    if asked.get("assignPublicIp") == "ENABLED":
        told = {each["name"]: each["value"] for each in task.attachments[0]["details"]}
        interfaces[told["networkInterfaceId"]].public_ip = own.address
