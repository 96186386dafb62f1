"""What a person sees while a campaign or a build runs: progress on standard error, findings on standard output.

On a terminal progress is one line that is rewritten; elsewhere it is a plain line now and then.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from faultline.campaign.run import Progress, Result
from faultline.campaign.worker import Record
from faultline.report.document import Document
from faultline.report.keep import Keeper
from faultline.report.repro import keep_repro, near, replay_command, repro_text
from faultline.report.result import About
from faultline.report.text import Line, Style, render, title

#: Seconds between two plain progress lines.
PLAIN_EVERY: Final = 10.0
#: Columns of the bar that shows how much of the time is over.
BAR_WIDTH: Final = 20
_BLANK: Final[Line] = (Style.PLAIN, "")


class Screen:
    """Standard output and error of a command.

    ``quiet``: no progress.  ``data``: standard output is for a machine to read, so findings go to standard error.
    """

    def __init__(self, *, quiet: bool = False, data: bool = False) -> None:
        self._quiet = quiet
        self._error = Console(stderr=True, highlight=False, soft_wrap=True)
        self.output = self._error if data else Console(highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._said_at = time.monotonic()

    def show(self, lines: list[Line]) -> None:
        """Shows a report."""
        with self._aside():
            for style, text in lines:
                self.output.print(Text(text, style=style.value))

    def say(self, text: str) -> None:
        """Shows one line of a result."""
        with self._aside():
            self.output.print(Text(text))

    def warn(self, text: str) -> None:
        """Shows one line that must not be overlooked, on standard error."""
        with self._aside():
            self._error.print(Text(f"faultline: {text}"))

    @contextmanager
    def progress(self) -> Iterator[None]:
        """While it lasts, :meth:`status` lines are rewritten in place if standard error is a terminal."""
        if self._quiet or not self._error.is_terminal:
            yield
            return
        with Live(
            console=self._error, transient=True, refresh_per_second=8, redirect_stdout=False, redirect_stderr=False
        ) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def status(self, text: str, *, share: float | None = None, alarm: str = "", now: bool = False) -> None:
        """Says how far things are.

        :param share: how much of it is done, 0 to 1; None: nobody knows.
        :param alarm: a part of the text that is to stand out.
        :param now: a plain line does not wait for its turn.
        """
        if self._live is not None:
            line = Text(text, style="dim", no_wrap=True, overflow="ellipsis")
            if alarm:
                line.highlight_words([alarm], "bold red not dim")
            self._live.update(line if share is None else _with_bar(line, share))
        elif not self._quiet and (now or time.monotonic() - self._said_at >= PLAIN_EVERY):
            self._said_at = time.monotonic()
            self._error.print(Text(text))

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Takes the progress line away while something else is written."""
        live = self._live
        if live is None:
            yield
            return
        live.stop()
        try:
            yield
        finally:
            live.start()


def _with_bar(line: Text, share: float) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(ProgressBar(total=1.0, completed=share, width=BAR_WIDTH, complete_style="cyan"), line)
    return table


class Reporter:
    """Writes each finding's repro the moment it is there, and shows the finding once its program is minimised."""

    def __init__(self, screen: Screen, about: About, out: Path) -> None:
        self._screen, self._setting, self.out = screen, about.setting, out
        self._shown: set[str] = set()
        self._failed = False
        self.files: dict[str, Path] = {}
        """Where the repro of each signature lies; one that could not be written is not there."""
        self._keeper = Keeper(about, out, self.files, screen.warn)

    def found(self, record: Record) -> None:
        """Keeps the record; see :class:`faultline.campaign.run.Listener`."""
        self._write(record)
        self._keeper.found(record)
        if record.done:
            self.show(record)

    def progress(self, progress: Progress) -> None:
        """Shows how far the campaign is."""
        self._keeper.progress(progress)
        rate = progress.programs / progress.seconds if progress.seconds else 0
        findings = f"{progress.findings} finding{'' if progress.findings == 1 else 's'}"
        parts = [f"{progress.programs:,} programs", f"{rate:,.0f}/s", findings]
        share = None
        if progress.reached is not None and progress.points:
            parts.append(f"{progress.reached} of {progress.points} changed lines and branches")
        if progress.left is not None:
            parts.append(f"{progress.left:.0f} s left")
            share = progress.seconds / max(progress.seconds + progress.left, 1e-9)
        self._screen.status(", ".join(parts), share=share, alarm=findings if progress.findings else "")

    def close(self, result: Result) -> Document:
        """The campaign has ended: shows what was not shown yet, and writes the run's document."""
        for record in result.records:
            self.show(record)
        return self._keeper.close(result)

    def show(self, record: Record) -> None:
        """Shows a finding, unless its signature was shown before: the first of its kind in full, others in a line."""
        finding = record.finding
        if finding.signature in self._shown:
            return
        file = self.files.get(finding.signature)
        again = any(signature.startswith(finding.kind.value + ":") for signature in self._shown)
        self._shown.add(finding.signature)
        if again and file is not None:
            self._screen.say(f"{title(finding, record.ops)}; see {near(file)}")
            return
        three_way = bool(finding.alone)
        kernel = self._setting.kernel if three_way else ""
        command = replay_command(file, kernel, three_way=three_way) if file else ""
        replay = command or "(the repro could not be written; its program is above)"
        self._screen.show([*render(finding, record.ops, replay), _BLANK])

    def _write(self, record: Record) -> None:
        finding, ops = record.finding, record.ops
        try:
            self.files[finding.signature] = keep_repro(self._setting, finding, ops, self.out)
        except OSError as error:
            if not self._failed:
                self._screen.warn(f"{self.out}: {error.strerror}; findings are printed here instead of being written")
            self._failed = True
            file = self.out / self._setting.file_name(finding)
            print(repro_text(self._setting, finding, ops, file), end="", file=sys.stderr, flush=True)
