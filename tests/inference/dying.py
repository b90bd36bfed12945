"""What other processes import: a worker that a recording kills."""

import os
import signal
from collections.abc import Callable

from lung_srad.inference.bulk import Row, Task


def dies_over_deep() -> Callable[[Task], Row]:
    """Returns a worker that dies of what lies in the folder ``deep``."""

    def answer(task: Task) -> Row:
        if "deep" in task.path:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"path": task.path, "file": None, "output": task.name, "patient": "", "status": "accept"}

    return answer
