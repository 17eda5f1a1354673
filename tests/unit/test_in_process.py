"""Modules that run in Ansible's own process: the same answers, and a process of their own wherever that is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.modules import ROOT, run

SOUND = {"AWSEBDockerrunVersion": "1", "Image": {"Name": "shop/web:1"}, "Ports": [{"ContainerPort": 80}]}
OWN_PROCESS = {**os.environ, "ANSIBLE_KEEP_REMOTE_FILES": "1"}


@pytest.fixture
def arguments(tmp_path):
    path = tmp_path / "Dockerrun.aws.json"
    path.write_text(json.dumps(SOUND))
    return {"path": str(path)}


def test_both_ways_answer_alike(arguments, tmp_path):
    within = run("dockerrun_info", arguments, "-vvv")
    alone = run("dockerrun_info", arguments, "-vvv", environment=OWN_PROCESS | {"HOME": str(tmp_path)})
    assert within[:2] == alone[:2]
    assert within[0] == 0
    assert "EXEC" not in within[2]
    assert "EXEC" in alone[2]


def test_both_ways_fail_alike(tmp_path):
    given = {"path": "/nowhere/Dockerrun.aws.json"}
    within = run("dockerrun_info", given)
    alone = run("dockerrun_info", given, environment=OWN_PROCESS | {"HOME": str(tmp_path)})
    assert within[0] == alone[0] != 0
    assert within[1]["msg"] == alone[1]["msg"]
    assert "Traceback" not in within[2]


def test_an_unknown_argument_is_refused(arguments):
    code, result, printed = run("dockerrun_info", {**arguments, "pth": "x"})
    assert code != 0
    assert "pth" in result["msg"]
    assert "Traceback" not in printed


@pytest.mark.parametrize("option", [("--become",), ("-B", "30"), ("-e", "ansible_python_interpreter=/usr/bin/python3")])
def test_who_becomes_another_or_waits_elsewhere_or_takes_another_python_gets_a_process(arguments, option):
    _code, _result, printed = run("dockerrun_info", arguments, "-vvv", *option)
    assert "EXEC" in printed


def test_a_stock_module_of_aws_answers_alike_in_both_ways(tmp_path):
    credentials = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_MAX_ATTEMPTS": "1"}
    nobody = credentials | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "us-east-1"}
    given = {"db_instance_identifier": "shop"}
    within = run("amazon.aws.rds_instance_info", given, "-vvv", environment={**os.environ, **nobody})
    alone = run("amazon.aws.rds_instance_info", given, "-vvv", environment=OWN_PROCESS | nobody | {"HOME": str(tmp_path)})
    assert within[0] == alone[0] != 0
    assert within[1]["msg"] == alone[1]["msg"]
    assert "EXEC" not in within[2]
    assert "EXEC" in alone[2]


def test_a_module_of_nobody_s_cloud_has_a_process_as_ever(tmp_path):
    code, result, printed = run("ansible.builtin.stat", {"path": str(tmp_path)}, "-vvv")
    assert code == 0
    assert result["stat"]["exists"]
    assert "EXEC" in printed


def test_every_module_of_aws_has_the_sdk_read_before_ansible_forks():
    for module in sorted((ROOT / "plugins" / "modules").glob("*.py")):
        action = ROOT / "plugins" / "action" / module.name
        if "AnsibleAWSModule" in module.read_text(encoding="utf-8"):
            assert "aws_sdk.prepare(" in action.read_text(encoding="utf-8"), f"{action} is to be a link to plugin_utils/aws_action.py"
        elif action.exists():
            assert "aws_sdk" not in action.read_text(encoding="utf-8"), f"{action} is to be a link to plugin_utils/action.py"


_OPENED = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path("plugins/plugin_utils")))
import aws_sdk
aws_sdk.prepare("rds_instance_plan")
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
import boto3
session = boto3.session.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-west-1")
assert session.client("rds").meta.service_model.service_name == "rds"
print([path for path in opened if "botocore" in path and ".json" in path])
"""


def _second_client(**more):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")} | more
    return subprocess.run([sys.executable, "-c", _OPENED], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_second_client_of_a_service_reads_none_of_the_sdk_s_files():
    assert _second_client().stdout.strip() == "[]"


def test_what_is_wrong_with_the_user_s_settings_is_left_to_the_module():
    complaint = _second_client(AWS_PROFILE="not-there").stderr
    assert "ProfileNotFound" in complaint
    assert "aws_sdk" not in complaint
