#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: dockerrun
short_description: Render a Compose project for AWS Elastic Beanstalk
version_added: 0.1.0
description:
  - Reads a Compose project as C(docker compose config) resolves it, and writes what Elastic Beanstalk runs it from - a
    C(Dockerrun.aws.json) of version 2 (several containers on ECS) or 1 (a single container), or a production C(docker-compose.yml).
  - Backing services (PostgreSQL, Redis, Valkey, recognised by their images) are left out, and the environment variables that
    pointed at them are re-bound to the O(connections) given. Secrets travel as references only.
  - The output is canonical. A second run changes nothing, and C(--diff) is readable.
  - The definitions are checked with botocore's model of ECS and with Beanstalk's own rules before the file is written. Where a check
    fails, nothing is written.
options:
  dest:
    description:
      - The file to write. An existing directory gets a file of the usual name in it, C(Dockerrun.aws.json) or, with O(format=compose),
        C(docker-compose.yml).
      - The file is replaced atomically, and gets mode C(0644), or C(0600) where plain passwords are in it, unless O(mode) says
        otherwise.
      - Where it is not given, nothing is written, and RV(text) has it. O(format=compose) needs it, since it can hold passwords.
    type: path
  format:
    description:
      - V(2) is for the platform "ECS running on 64bit Amazon Linux 2023", with any number of containers.
      - V(1) is for the platform "Docker running on 64bit Amazon Linux 2023", with one container. It has no environment; the variables
        are listed in RV(warnings), to be set as the Beanstalk environment's properties.
      - V(compose) is for the same platform with a C(docker-compose.yml), and for any other Docker host. With O(authentication), a
        C(Dockerrun.aws.json) of version 3 is written beside it.
    type: str
    choices: ["2", "1", "compose"]
    default: "2"
  images:
    description:
      - Service to image, for services that are built, or to run another image (by digest, for instance) than the Compose file names.
      - A service that is built and has no image is left out, with a warning.
    type: dict
    default: {}
  connections:
    description:
      - Backing service to its connection. The key is the service's name, or its engine where it is the only one of that engine.
      - A service named here is a backing service, whatever its image.
      - Without a connection, a backing service is left out all the same, and the variables that named it are left out and returned
        in RV(unbound).
    type: dict
    suboptions:
      engine:
        description: The engine. By default what the service's image says.
        type: str
        choices: [postgres, redis, valkey]
      host:
        description: Host name or address.
        type: str
        required: true
      port:
        description: Port. By default 5432 for PostgreSQL, 6379 for Redis and Valkey.
        type: int
      database:
        description: Name of the database. A Redis index stays as the app has it, where none is given.
        type: str
      databases:
        description:
          - Databases beside that one in the same server, which are called as in the Compose file. A variable that names yet another one is unbound where services
            name several, since they would lie in one.
        type: list
        elements: str
      username:
        description: Name of the user.
        type: str
      password:
        description:
          - The password in plain text. It is written with O(format=compose) only, into a file that others cannot read. With the other
            formats the variables that need it are unbound; give O(connections.password_ref) or O(connections.url_ref).
        type: str
      password_ref:
        description: ARN of a Secrets Manager secret, or of a parameter, that holds the password.
        type: str
      url_ref:
        description: ARN of a secret that holds the whole URL, for variables such as C(DATABASE_URL).
        type: str
      url_refs:
        description:
          - As O(connections.url_ref), for URLs of other forms - a scheme such as C(postgresql+asyncpg) to the ARN, and C(celery) to that of a URL with
            C(ssl_cert_reqs=required), without which Celery takes none under TLS.
        type: dict
      tls:
        description:
          - Whether clients speak TLS. V(true), one of libpq's modes (V(require), V(verify-ca), V(verify-full)), or a dictionary with
            C(mode) and C(ca).
        type: raw
      relaxed_by:
        description:
          - Settings that let in clients that speak no TLS (C(tls)) and give no password (C(password)), such as C(redis_elasticache_tls=preferred). A warning
            of a service that has no variable for either names them.
        type: dict
  default_memory:
    description:
      - Memory limit, in MiB, of services that name neither a limit nor a reservation. ECS asks for one, and takes 6 MiB or more.
    type: int
    default: 128
  default_reservation:
    description:
      - Memory, in MiB, that is reserved for such services instead, which may then take what the instance has, as in Compose.
    type: int
  execution_role_arn:
    description:
      - ARN of the role with which ECS reads secrets. Needed where O(connections) hold references.
    type: str
  authentication:
    description:
      - The S3 object that holds the credentials of a private registry, in the bucket's region.
    type: dict
    suboptions:
      bucket:
        description: Name of the bucket.
        type: str
        required: true
      key:
        description: Key of the object, a C(.dockercfg) or C(config.json).
        type: str
        required: true
  repository_credentials:
    description:
      - ARN of the Secrets Manager secret with the credentials of a private registry, for all images that are not in ECR. One service
        takes its own from the Compose extension C(x-aws-pull_credentials).
      - With O(format=2) only.
    type: str
  environment_properties:
    description:
      - Whether the variables that are led to a connection are left out of the file and returned as RV(properties) and RV(secrets), to be
        set as the Beanstalk environment's properties and secrets, which every container gets. A version can then be deployed to several
        environments. A variable that is not the same for every service that has it stays in the file.
      - With O(format=2) only.
    type: bool
    default: false
  awslogs:
    description:
      - Where CloudWatch keeps what containers say, but for those with C(logging) of their own in the Compose file. The group has to be
        there. Streams are called C(app/CONTAINER/TASK).
      - With O(format=2) only.
    type: dict
    suboptions:
      group:
        description: Name of the log group.
        type: str
        required: true
      region:
        description: Region of the log group.
        type: str
        required: true
  front_port:
    description:
      - Port on which visitors come, such as V(80), where Beanstalk's load balancer looks. Where no container is published on it, the front
        door's is, instead of on the port that the Compose file names for development.
      - With O(format=2) only.
    type: int
  delivered:
    description:
      - Whether whoever asks packs what RV(bundled) and RV(files) say, so that nobody has to be told of it.
      - With O(format=2) only.
    type: bool
    default: false
  text_secret:
    description:
      - ARN of a secret of the app's own, for texts with a password in them that no other secret holds, such as a .NET connection string, JSON, or a
        URL with parameters of its own. RV(composed) says what it has to hold. Without it, such variables are in RV(unbound), and a URL loses its parameters.
      - With O(format=2) only.
    type: str
  strict:
    description:
      - Whether it is an error, rather than a warning, when something of the Compose file cannot be carried or bound.
    type: bool
    default: false
extends_documentation_fragment:
  - berth.project
  - berth.selection
  - ansible.builtin.files
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
  diff_mode:
    description: Returns what would change, or did.
    support: full
  safe_file_operations:
    description: Replaces the file in one step.
    support: full
requirements:
  - docker compose, version 2.24 or later (an engine is not needed)
  - botocore
  - PyYAML
notes:
  - Containers find each other by their Compose names, through ECS links. Links must not form a cycle; C(depends_on) and the front
    door's links give way where they would close one, and anything else is an error that shows the cycle.
  - The service that publishes the only port, or the proxy among several that do, is the front door. It is linked to what its
    configuration routes to, or to every other container where no configuration can be read.
  - Bind mounts of source code are left out, since the image holds it. Other paths of the project are mounted from the source bundle,
    C(/var/app/current). Named volumes are kept in C(/var/lib/berth/volumes) on the instance, and end with it; RV(files) has what opens them to
    containers that do not run as root.
  - A volume called C(awseb-logs-<service>) makes Beanstalk collect and rotate what a container logs into it.
seealso:
  - module: dockerrun_info
  - name: Multi-container Docker environments
    description: Beanstalk's manual of version 2.
    link: https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/create_deploy_docker_v2config.html
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Render the app for Beanstalk, with its databases in RDS and ElastiCache
  dockerrun:
    project_src: /srv/shop
    files:
      - compose.yaml
      - compose.production.yaml
    dest: /srv/shop/build/Dockerrun.aws.json
    images:
      api: 123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop-api@sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b
      web: 123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop-web@sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865
    connections:
      postgres:
        host: shop.abcdefgh.eu-central-1.rds.amazonaws.com
        database: shop
        username: shop
        password_ref: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop-db-AbCdEf:password::"
        tls: verify-full
      redis:
        host: master.shop.abcdef.euc1.cache.amazonaws.com
        tls: true
    execution_role_arn: arn:aws:iam::123456789012:role/shop-execution
    strict: true

- name: Keep the cache as a container, and leave the asset watcher at home
  dockerrun:
    project_src: /srv/shop
    dest: /srv/shop/build/
    images:
      api: registry.example.com/shop-api:1.4.2
    keep:
      - cache
    exclude:
      - watcher

- name: Show what would change
  dockerrun:
    project_src: /srv/shop
    dest: /srv/shop/build/Dockerrun.aws.json
  check_mode: true
  diff: true
"""

RETURN = r"""
dest:
  description: Absolute path of the file.
  type: str
  returned: when O(dest) is given
  sample: /srv/shop/build/Dockerrun.aws.json
text:
  description: Content of the file.
  type: str
  returned: when O(dest) is not given
containers:
  description: Names of the containers in the file, in alphabetical order.
  type: list
  elements: str
  returned: success
  sample: [api, web, worker]
dropped:
  description: What is not in the file - whole services (RV(dropped[].setting) is null) and single settings.
  type: list
  elements: dict
  returned: success
  contains:
    service:
      description: Name of the service.
      type: str
    setting:
      description: What of it was left out.
      type: str
    reason:
      description: Why.
      type: str
  sample:
    - {service: postgres, setting: null, reason: a backing service (postgres) lives outside the containers}
bound:
  description: The variables that lead to a connection now. Names, never values.
  type: list
  elements: dict
  returned: success
  contains:
    service:
      description: Name of the service.
      type: str
    variable:
      description: Name of the variable.
      type: str
    field:
      description: What of the connection it holds - host, port, address, username, password, database, url, tls or sslmode.
      type: str
    backing:
      description: Name of the backing service.
      type: str
  sample:
    - {service: api, variable: PGHOST, field: host, backing: postgres}
unbound:
  description: The variables that named a backing service and could not be bound. They are not in the file.
  type: list
  elements: dict
  returned: success
  contains:
    service:
      description: Name of the service.
      type: str
    variable:
      description: Name of the variable.
      type: str
    backing:
      description: Name of the backing service.
      type: str
    reason:
      description: Why it could not be bound.
      type: str
    remedy:
      description: What to do.
      type: str
  sample: []
properties:
  description: Variables to be set as environment properties. Host names, ports and the like; no secrets.
  type: dict
  returned: success
  sample: {PGHOST: shop.abcdefgh.eu-central-1.rds.amazonaws.com}
secrets:
  description: Variables to be set as environment secrets, with the references that stand for their values.
  type: dict
  returned: success
  sample: {PGPASSWORD: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop-db-AbCdEf:password::"}
composed:
  description:
    - With O(text_secret), what that secret has to hold - key to C(text), with a mark in the place of each password, and C(passwords), mark to the
      reference to the password. M(composed_secret) writes it.
  type: dict
  returned: success
  sample: {}
bound_summary:
  description: RV(bound) in a line, by service.
  type: str
  returned: success
  sample: "api: PGHOST PGPASSWORD; worker: REDIS_HOST"
bundled:
  description: Paths of the project that containers mount from the source bundle, which has to hold them.
  type: list
  elements: str
  returned: success
  sample: [web/conf.d]
files:
  description:
    - Further files of the source bundle, name to content - configs that the Compose file holds itself, and C(.ebextensions/berth.config), which makes
      the folders of named volumes on an instance such that containers of any user may write there. Without it they are root's.
  type: dict
  returned: success
  sample: {".berth/configs/site": "server { listen 80; }"}
health_path:
  description: The path that the front door's own health check asks for, or an empty string where it has none that asks over HTTP.
  type: str
  returned: success
  sample: /healthz
front_door:
  description: Name of the service that visitors reach, or null where there is none or more than one.
  type: str
  returned: success
  sample: web
warnings:
  description: Everything to look at, what was lost first. Ansible shows them too.
  type: list
  elements: str
  returned: when there is anything to warn of
  sample: ["api: volume ./api:/app is not carried: the source code is in the image"]
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import compose, ebextensions, topology
from ansible.module_utils.berth.dockerrun_rendering import render
from ansible.module_utils.berth.problems import BerthError
from ansible.module_utils.berth.release import repository_of
from ansible.module_utils.berth.selection import ARGUMENTS, Options
from ansible.module_utils.berth.variables import summary
from ansible.module_utils.berth.writing import check_writable, current_text, write_atomically


def written(module: AnsibleModule, texts: dict[str, str], main_name: str, *, secret: bool) -> dict[str, Any]:
    """Have the files at ``dest``, as far as it is no check; what there is to say of that. Raises :class:`BerthError` before it writes."""
    params = module.params
    dest = os.path.abspath(params["dest"])
    if os.path.isdir(dest):
        dest = os.path.join(dest, main_name)
    paths = {dest if name == main_name else os.path.join(os.path.dirname(dest), name): text for name, text in texts.items()}
    before = {path: current_text(path) for path in paths}
    for path in paths:
        check_writable(path)
    changed = False
    for path, text in paths.items():
        if before[path] != text:
            changed = True
            if not module.check_mode:
                write_atomically(module, path, text)
        if params["mode"] is None:
            params["mode"] = "0600" if secret and path.endswith("docker-compose.yml") else "0644"
        if not module.check_mode or os.path.exists(path):
            changed = module.set_fs_attributes_if_different(module.load_file_common_arguments(params, path), changed)
    diff = [{"before_header": path, "after_header": path, "before": before[path] or "", "after": text} for path, text in paths.items()]
    return {"changed": changed, "dest": dest, "diff": diff}


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            **compose.ARGUMENTS,
            **ARGUMENTS,
            "dest": {"type": "path"},
            "format": {"type": "str", "choices": ["2", "1", "compose"], "default": "2"},
            "images": {"type": "dict", "default": {}},
            # Checked entry by entry in connections.read_connection: the keys are service names, which no argument spec can name.
            "connections": {"type": "dict", "no_log": False},
            "default_memory": {"type": "int", "default": 128},
            "default_reservation": {"type": "int"},
            "execution_role_arn": {"type": "str"},
            "authentication": {
                "type": "dict",
                "options": {"bucket": {"type": "str", "required": True}, "key": {"type": "str", "required": True, "no_log": False}},
            },
            "repository_credentials": {"type": "str", "no_log": False},
            "environment_properties": {"type": "bool", "default": False},
            "front_port": {"type": "int"},
            "awslogs": {
                "type": "dict",
                "options": {"group": {"type": "str", "required": True}, "region": {"type": "str", "required": True}},
            },
            "delivered": {"type": "bool", "default": False},
            "text_secret": {"type": "str", "no_log": False},
            "strict": {"type": "bool", "default": False},
        },
        add_file_common_args=True,
        required_if=[("format", "compose", ["dest"])],
        supports_check_mode=True,
    )
    params = module.params
    passwords = {
        str(each["password"]) for each in (params["connections"] or {}).values() if isinstance(each, dict) and each.get("password")
    }
    module.no_log_values.update(passwords)
    warnings: list[str] = []
    try:
        for name in ("default_memory", "default_reservation"):
            if params[name] is not None and params[name] < 6:
                raise BerthError(f"{name}: {params[name]} MiB is below the 6 MiB that ECS takes")
        project = compose.project_of(module)
        project = project._replace(repository=repository_of(project.directory, module.run_command))
        options = Options(
            images=params["images"],
            connections=params["connections"],
            keep=tuple(params["keep"]),
            exclude=tuple(params["exclude"]),
            default_memory=params["default_memory"],
            default_reservation=params["default_reservation"],
            execution_role_arn=params["execution_role_arn"],
            authentication=params["authentication"],
            repository_credentials=params["repository_credentials"],
            front_port=params["front_port"],
            front_door=params["front_door"],
            environment=params["environment"],
            awslogs=params["awslogs"],
            delivered=params["delivered"],
            text_secret=params["text_secret"],
        )
        if params["awslogs"] is not None and params["format"] != "2":
            raise BerthError("awslogs: with format 2 only; in the others the Compose file's own logging counts")
        if params["front_port"] is not None and params["format"] != "2":
            raise BerthError("front_port: with format 2 only; in the others the Compose file's own ports count")
        if params["environment_properties"] and params["format"] != "2":
            raise BerthError("environment_properties: with format 2 only; the other formats carry every variable themselves")
        texts, selection, apart = render(project, options, params["format"], params["environment_properties"])
        losses = [*project.warnings, *selection.notes.uncarried]
        losses += [f"{each['service']}: {each['variable']} is unbound: {each['reason']}; {each['remedy']}" for each in selection.unbound]
        warnings = list(dict.fromkeys([*project.warnings, *selection.notes.warnings]))
        if params["strict"] and losses:
            raise BerthError(f"strict: {len(losses)} things of the project are not carried: " + "; ".join(losses))
        main_name = "docker-compose.yml" if params["format"] == "compose" else "Dockerrun.aws.json"
        where = {"text": texts[main_name], "changed": False}
        if params["dest"] is not None:
            where = written(module, texts, main_name, secret=bool(passwords))
    except BerthError as problem:
        for warning in warnings:
            module.warn(warning)
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    for warning in warnings:
        module.warn(warning)
    module.exit_json(
        containers=sorted(selection.services),
        dropped=selection.notes.dropped,
        bound=selection.bound,
        unbound=selection.unbound,
        properties=apart[0],
        secrets=apart[1],
        composed=selection.composed,
        bound_summary=summary(selection.bound),
        bundled=sorted(set(selection.notes.bundled)),
        files=selection.notes.texts | ebextensions.folders(selection.notes.kept),
        front_door=selection.front_door,
        health_path=topology.health_path(project.services.get(selection.front_door or "", {})),
        **where,
    )


if __name__ == "__main__":
    main()
