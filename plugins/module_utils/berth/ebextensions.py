# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a source bundle has done on an instance before its containers begin.

https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/customize-containers-ec2.html
"""

from __future__ import annotations

import json
import posixpath
import shlex
from collections.abc import Iterable

PATH = ".ebextensions/berth.config"


def folders(paths: Iterable[str]) -> dict[str, str]:
    """The ``.config`` file that makes the folders of named volumes, its name to its content; nothing where there are none.

    Docker itself makes them when a container mounts them, as root's, and a container that runs as another user cannot write there. One
    that is there and is no longer as Docker makes it stays as it is: a database has taken its own for itself alone. Nobody but root comes
    into the folder above them, so that they are open to containers alone.
    """
    wanted = sorted(set(paths))
    if not wanted:
        return {}
    made = [f"install -d -m 0711 {shlex.quote(each)}" for each in sorted({posixpath.dirname(path) for path in wanted})]
    made += [f'mkdir -p {path}; if [ "$(stat -c %u:%a {path})" = 0:755 ]; then chmod 1777 {path}; fi' for path in map(shlex.quote, wanted)]
    return {PATH: f"commands:\n  berth_volumes:\n    command: {json.dumps('; '.join(['set -e; umask 022', *made]))}\n"}
