"""The entry of a project's `__main__`: one verb from the command line, with the project's objects.

Serving is started before the command line's libraries are imported: an image that only serves has
none of them.
"""

import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlchassis.project import Project
from mlchassis.team_code.importing import find_file, load_object

if TYPE_CHECKING:
    from mlchassis.serving.service import Service


@dataclass(frozen=True, slots=True)
class Composition:
    """References to a project's objects, imported by the verbs that use them.

    Attributes:
        project: Import path of the `Project`, as "package.module:name".
        service: Import path of the `Service`.
    """

    project: str
    service: str

    def load_project(self) -> Project:
        """Import the project's `Project`.

        Raises:
            ProjectError: It is not there, is something else, or holds an object of another shape.
        """
        from mlchassis.cli.app import list_verbs
        from mlchassis.extensions.checks import check_project

        project = load_object(self.project, Project)
        check_project(project, find_file(self.project), list_verbs())
        return project

    def load_service(self) -> "Service":
        """Import the project's `Service`.

        Raises:
            ProjectError: It is not there, is something else, or holds an object of another shape.
        """
        from mlchassis.serving.service import load_service

        return load_service(self.service)


def run(project: str, service: str) -> None:
    """Run the verb that the command line names.

    Args:
        project: Import path of the `Project`, as "package.module:name".
        service: Import path of the `Service`.
    """
    composition = Composition(project, service)
    if sys.argv[1:2] == ["serve"]:
        # In a container this is the first process, for which the kernel ignores a signal without
        # a handler. Nothing has to be finished before the server runs, which has its own handler.
        signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(0))
        from mlchassis.serving.server.command import main

        main(composition.service, sys.argv[2:])
    else:
        from mlchassis.cli.app import app

        app(obj=composition)
