"""Running something that may kill its process, in a forked child."""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Callable
from typing import Final

#: Seconds after which a child counts as hung.
SECONDS_MAX: Final = 20


def death_of(call: Callable[[], object]) -> int:
    """The number of the signal that kills a child which makes ``call``, 0 if it survives; SIGALRM: it hangs.

    What the child writes to standard output and error is dropped: a sanitizer's report would garble the terminal.
    """
    pid = os.fork()
    if pid == 0:
        try:
            faulthandler.disable()  # its dump, too, would garble the terminal
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(SECONDS_MAX)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            call()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
