#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a version of an Elastic Beanstalk application."""

from __future__ import annotations

DOCUMENTATION = r"""
module: beanstalk_version
short_description: Keep a version of an Elastic Beanstalk application
description:
  - Packs files into a source bundle, uploads it, and makes a version of it. The label holds a digest of the content, so that the
    same content is neither uploaded nor made twice.
options:
  application:
    description: Name of the application.
    type: str
    required: true
  source:
    description: Folder with the Dockerrun.aws.json and what it mounts.
    type: path
    required: true
  paths:
    description:
      - Which files and folders of O(source) are packed, relative to it. By default all.
    type: list
    elements: str
  definition:
    description:
      - Content of the Dockerrun.aws.json, where O(source) does not hold it.
    type: str
  files:
    description:
      - Further files of the bundle, name to content, over those of O(source).
    type: dict
    default: {}
  bucket:
    description: Bucket of the bundles, in the application's region and of this very account.
    type: str
    required: true
  prefix:
    description: Prefix of the bundle's key.
    type: str
    default: ""
  release:
    description: First part of the label, such as a commit.
    type: str
    default: ""
  description:
    description: What it is.
    type: str
    default: ""
  tags:
    description: Tags of a new version.
    type: dict
    default: {}
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Make a version of what was rendered
  beanstalk_version:
    application: shop
    source: /srv/shop/build
    bucket: shop-bundles-123456789012
    release: 3f9c2e1

- name: Make a version of a rendered definition and what it mounts, of the Compose project
  beanstalk_version:
    application: shop
    source: /srv/shop
    paths: "{{ rendered.bundled }}"
    definition: "{{ rendered.text }}"
    bucket: shop-bundles-123456789012
    release: 3f9c2e1
"""

RETURN = r"""
version_label:
  description: Label of the version.
  type: str
  returned: success
  sample: 3f9c2e1-0b1c2d3e4f50
in_service:
  description: Whether it is noted that the version has been in service.
  type: bool
  returned: success
key:
  description: Key of the bundle in the bucket.
  type: str
  returned: success
"""

from typing import Any

from ansible.module_utils.berth import source_bundle
from ansible.module_utils.berth.aws import AWS_ERRORS, error_code, fail_aws, made, tag_list
from ansible.module_utils.berth.beanstalk_served import is_noted
from ansible.module_utils.berth.problems import BerthError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry


def uploaded(module: Any, client: Any, key: str, owner: dict[str, str]) -> bool:
    """Whether the bundle is in the bucket already."""
    bucket = module.params["bucket"]
    try:
        client.head_object(aws_retry=True, Bucket=bucket, Key=key, **owner)
    except AWS_ERRORS as error:
        if error_code(error) in ("404", "NoSuchKey", "NotFound"):
            return False
        if error_code(error) in ("403", "AccessDenied"):
            module.fail_json(
                msg=f"bucket: {bucket} is not this account's ({owner['ExpectedBucketOwner']}), or may not be read with these credentials; "
                "name another bucket, or have the permission granted"
            )
        fail_aws(module, error, f"Looking for {key} in bucket {bucket}")
    return True


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "application": {"type": "str", "required": True},
            "source": {"type": "path", "required": True},
            "paths": {"type": "list", "elements": "str"},
            "definition": {"type": "str"},
            "files": {"type": "dict", "default": {}},
            "bucket": {"type": "str", "required": True},
            "prefix": {"type": "str", "default": ""},
            "release": {"type": "str", "default": ""},
            "description": {"type": "str", "default": ""},
            "tags": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        texts = {str(name): str(text) for name, text in params["files"].items()}
        texts |= {} if params["definition"] is None else {"Dockerrun.aws.json": params["definition"]}
        files = source_bundle.entries(params["source"], params["paths"], texts)
        label = source_bundle.label(params["release"], source_bundle.digest(files))
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    key = f"{params['prefix']}{label}.zip"
    retry = AWSRetry.jittered_backoff()
    beanstalk, s3 = module.client("elasticbeanstalk", retry_decorator=retry), module.client("s3", retry_decorator=retry)
    try:
        found = beanstalk.describe_application_versions(aws_retry=True, ApplicationName=params["application"], VersionLabels=[label])
        there = bool(found["ApplicationVersions"])
        if not there and not module.check_mode:
            account = module.client("sts", retry_decorator=retry).get_caller_identity(aws_retry=True)["Account"]
            owner = {"ExpectedBucketOwner": account}
            if not uploaded(module, s3, key, owner):
                s3.put_object(aws_retry=True, Bucket=params["bucket"], Key=key, Body=source_bundle.pack(files), **owner)
            made(
                beanstalk.create_application_version,
                aws_retry=True,
                ApplicationName=params["application"],
                VersionLabel=label,
                Description=params["description"][:200],
                SourceBundle={"S3Bucket": params["bucket"], "S3Key": key},
                Tags=tag_list(params["tags"]),
            )
    except AWS_ERRORS as error:
        if error_code(error) == "NoSuchBucket":
            module.fail_json(msg=f"bucket: there is no bucket {params['bucket']}; make it first, as playbooks/platform.yml does")
        fail_aws(module, error, f"Making version {label} of application {params['application']}")
    been = there and is_noted(str(found["ApplicationVersions"][0].get("Description") or ""))
    module.exit_json(changed=not there, version_label=label, key=key, in_service=been)


if __name__ == "__main__":
    main()
