"""A judge in a process of its own, that is asked of one program after the other: it may die of any of them."""

from __future__ import annotations

import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Final

from faultline.campaign.isolate import PATIENCE
from faultline.campaign.run import TICK, interrupts_held
from faultline.kinds import FaultlineError
from faultline.program.codec import Operation
from faultline.verdict.finding import Finding
from faultline.verdict.judge import Blame, Judge

#: Seconds that a process may take to load its libraries.
START_PATIENCE: Final = 60

Maker = Callable[[Callable[[bytes], None]], Judge]


@dataclass(frozen=True)
class Question:
    """Whether a program shows this finding, with this blame."""

    ops: list[Operation]
    finding: Finding
    blame: Blame = Blame.NEW


class Witness:
    """Answers by running; close it at the end."""

    def __init__(self, maker: Maker, patience: float = PATIENCE, stopped: Callable[[], bool] = lambda: False) -> None:
        self._maker, self._patience, self._stopped = maker, patience, stopped
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None

    def shows(self, question: Question) -> bool | None:
        """Whether the program shows the finding, or another one of its kind: a function may have got another name.

        A program that kills the process or gets stuck shows one too.  None: it did so where the question is what is
        gone, or nobody waits for the answer any more.

        :raises FaultlineError: the judge cannot be opened.
        """
        if self._pipe is None:
            self._start()
        assert self._pipe is not None
        try:
            self._pipe.send(question)
            if self._answered(self._pipe):
                told = self._pipe.recv()
                if isinstance(told, bool):
                    return told
                raise FaultlineError(str(told))
        except (EOFError, OSError):
            pass
        self.close()
        return True if question.blame is Blame.NEW and not self._stopped() else None

    def _answered(self, pipe: Connection) -> bool:
        end = time.monotonic() + self._patience
        while time.monotonic() < end and not self._stopped():
            if pipe.poll(TICK):
                return True
        return False

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(self._maker, theirs), daemon=True)
        with interrupts_held():
            self._process.start()
        theirs.close()
        ready = self._pipe.recv() if self._pipe.poll(START_PATIENCE) else "it does not answer"
        if ready is not True:
            self.close()
            raise FaultlineError(f"a step of the series cannot be run: {ready}")

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


def _serve(maker: Maker, pipe: Connection) -> None:
    """The process: it answers until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C does
    try:
        judge = maker(lambda _: None)
        pipe.send(True)
        while True:
            question = pipe.recv()
            pipe.send(answer(judge, question))
    except FaultlineError as error:
        pipe.send(str(error))
    except (EOFError, BrokenPipeError):
        pass
    except Exception:
        pipe.send(traceback.format_exc())


def answer(judge: Judge, question: Question) -> bool:
    """Whether the program shows the finding to this judge."""
    if judge.again(question.ops, question.finding, question.blame) is not None:
        return True
    if question.blame is not Blame.NEW:
        return False
    verdict = judge.judge(question.ops)
    finding = verdict.finding
    return finding is not None and verdict.blame is Blame.NEW and finding.kind is question.finding.kind
