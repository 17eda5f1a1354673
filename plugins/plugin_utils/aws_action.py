# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action of every module that talks to AWS: what is in plugins/action under their names are links to this file."""

from __future__ import annotations

from pathlib import Path

import ansible.plugins

_PLUGINS = str(Path(__file__).resolve().parents[1])
if _PLUGINS not in ansible.plugins.__path__:
    ansible.plugins.__path__.append(_PLUGINS)

from ansible.plugins.plugin_utils import aws_sdk  # noqa: E402
from ansible.plugins.plugin_utils.action import ActionModule  # noqa: E402, F401

aws_sdk.prepare(Path(__file__).stem)
