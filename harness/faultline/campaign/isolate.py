"""Running something that may kill its process, in a forked child."""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Callable
from typing import Final

#: Seconds after which a run counts as stuck; the machine ends endless loops itself long before.
PATIENCE: Final = 30


def death_of(call: Callable[[], object], patience: int = PATIENCE) -> int:
    """The number of the signal that kills a child which makes ``call``, 0 if it survives; SIGALRM: it is stuck.

    What the child writes to standard output and error is dropped: a sanitizer's report would garble the terminal.
    """
    pid = os.fork()
    if pid == 0:
        try:
            faulthandler.disable()  # its dump, too, would garble the terminal
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(patience)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            call()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
