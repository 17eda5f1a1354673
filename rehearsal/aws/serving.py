"""AWS's API as a WSGI server."""

from __future__ import annotations

import os
from typing import Any

from moto.ecr import urls as ecr_urls
from moto.ecs import urls as ecs_urls
from moto.elasticache import urls as elasticache_urls
from moto.elasticbeanstalk import urls as beanstalk_urls
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.rds import urls as rds_urls
from werkzeug.serving import make_server

from ..rules import Rules
from . import ec2, ecs, elasticache, rds, recovery, s3
from .beanstalk import api as beanstalk
from .ecr import RehearsedEcr
from .ecs import RehearsedEcs
from .elasticache_exports import RehearsedElastiCacheWithExports
from .faults import Faults
from .rds import RehearsedRds

_OURS = {
    beanstalk_urls: beanstalk.BeanstalkResponse,
    elasticache_urls: RehearsedElastiCacheWithExports,
    rds_urls: RehearsedRds,
    ecr_urls: RehearsedEcr,
    ecs_urls: RehearsedEcs,
}


def server(port: int, rules: Rules) -> Any:
    """A server of AWS's API on a port of the loopback address, which fails as ``rules`` say, and whose door they are changed by."""
    os.environ["BERTH_REHEARSAL_ENDPOINT"] = f"http://127.0.0.1:{port}"
    os.environ["MOTO_PORT"] = str(port)
    # Another account's bucket is closed, as it is by default.
    os.environ["MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS"] = "false"
    # AWS's own policies, which roles refer to.
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    for module, response in _OURS.items():
        vars(module)["url_paths"] = {"{0}/$": response.dispatch}
    for module in (beanstalk, ec2, ecs, elasticache, rds, s3):
        module.install()
    recovery.watch()
    application = Faults(DomainDispatcherApplication(create_backend_app), rules)
    return make_server("127.0.0.1", port, application, threaded=True, request_handler=MotoRequestHandler)
