"""ECS's API: moto's, with Fargate tasks that run."""

from __future__ import annotations

from functools import partial
from typing import Any

from moto.core.responses import ActionResult
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.moto_api import state_manager

from .. import containers
from . import clock, tasks
from .beanstalk.instances import now

_LONGEST = 600


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
            clock.later(partial(_run, task, definition))
        return answer


def _run(task: Any, definition: Any) -> None:
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
        task.status, task.started_at = "RUNNING", now()
        task.containers[0].last_status = "RUNNING"
        containers.wait_until(lambda: own.essential() & set(own.exited()), _LONGEST, "the task does not end")
        code = own.exited().get(names[0])
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
