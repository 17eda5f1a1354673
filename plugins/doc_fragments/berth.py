# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the manual pages of several modules say."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragments by name: ``berth.project`` is PROJECT."""

    DOCUMENTATION = "options: {}"

    # A Compose project, as `docker compose` takes it.
    PROJECT = r"""
options:
  project_src:
    description:
      - Directory of the Compose project. Relative paths in its files are relative to it.
    type: path
    required: true
  files:
    description:
      - Compose files, relative to O(project_src), merged in this order.
      - By default what Compose finds by itself, with its override file.
    type: list
    elements: path
  env_files:
    description:
      - Environment files for interpolation, relative to O(project_src). By default C(.env), where there is one.
    type: list
    elements: path
  profiles:
    description:
      - Profiles whose services belong to the project, beside those that belong to none.
    type: list
    elements: str
  dockerfiles:
    description:
      - For images that are built for production, service to its Dockerfile, relative to its build's context. A service that is not named,
        and whose Dockerfile or stage is for development by its name (C(Dockerfile.dev), the stage C(dev)), is built from the one for
        production beside it, where there is one.
      - Without this option, and not with an empty one, images are built as the Compose file says.
    type: dict
"""

    # What of one stays containers, and is told what.
    SELECTION = r"""
options:
  keep:
    description:
      - Backing services that stay containers.
    type: list
    elements: str
    default: []
  exclude:
    description:
      - App services that are left out, such as a watcher or a test runner.
    type: list
    elements: str
    default: []
  front_door:
    description: The service that visitors are led to, where several publish ports and none of them is clearly it.
    type: str
  environment:
    description:
      - Variables over those of the Compose file, which need no binding. A text is for every service; a table under a service's name is for
        that service. V(null) takes a variable away.
      - The ARN of a Secrets Manager secret or of a parameter becomes a reference to it, but where plain passwords may be written.
    type: dict
    default: {}
"""

    # A release of one, built and pushed.
    RELEASE = r"""
options:
  release:
    description:
      - Name of the release, and tag of its images. By default the commit that last changed the project, followed by a digest where something
        is not committed.
    type: str
"""
