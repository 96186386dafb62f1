"""Keeps a run's document on disk while the run goes on, so that there is a report of it however it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from faultline.campaign.run import Progress, Result
from faultline.campaign.worker import Record
from faultline.report.document import FILE_NAME, Document, Point, write
from faultline.report.result import About, document

#: Points of a timeline at most; a plot is not wider.
POINTS_MAX: Final = 300
#: Seconds between two writes while nothing is found.
WRITE_EVERY: Final = 5.0


class Timeline:
    """A run's course in at most POINTS_MAX points, as far from each other as that takes."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._every = 0.0
        """Seconds between two points."""

    def add(self, progress: Progress) -> None:
        """Takes a moment, if it is far enough from the last one, or something came with it."""
        last = self.points[-1] if self.points else None
        if (
            last is not None
            and progress.seconds - last.seconds < self._every
            and (progress.findings, progress.reached) == (last.findings, last.reached)
        ):
            return
        self.points.append(_point(progress))
        while len(self.points) > POINTS_MAX:
            self.points = self.points[::2]
            self._every = max(2 * self._every, progress.seconds / POINTS_MAX)

    def close(self, progress: Progress) -> None:
        """Takes the last moment."""
        if self.points and self.points[-1].seconds >= progress.seconds:
            self.points.pop()
        self.points = [*self.points[: POINTS_MAX - 1], _point(progress)]


def _point(progress: Progress) -> Point:
    return Point(round(progress.seconds, 3), progress.programs, progress.findings, progress.reached)


class Keeper:
    """Writes the document of a run into the folder ``out``, again and again.

    ``files`` are the repros by signature, as far as they are written at that moment; ``warn`` is told, once, that the
    document cannot be written.
    """

    def __init__(self, about: About, out: Path, files: Mapping[str, Path], warn: Callable[[str], None]) -> None:
        self._about, self._path, self._files, self._warn = about, out / FILE_NAME, files, warn
        self._records: dict[str, Record] = {}
        self._last = Progress(0, 0.0, None, 0)
        self._timeline = Timeline()
        self._written_at = time.monotonic()
        self._failed = False

    def found(self, record: Record) -> None:
        """A finding is there, or a better form of one."""
        self._records[record.finding.signature] = record
        self._write(self._unfinished())

    def progress(self, progress: Progress) -> None:
        """A moment has passed."""
        self._last = progress
        self._timeline.add(progress)
        if time.monotonic() - self._written_at >= WRITE_EVERY:
            self._write(self._unfinished())

    def close(self, result: Result) -> Document:
        """The run has ended; its whole document."""
        reached, points = (len(result.first), self._last.points) if self._last.points else (None, 0)
        self._timeline.close(Progress(result.programs, result.seconds, None, len(result.records), reached, points))
        whole = document(result, self._about, self._files, self._timeline.points)
        self._write(whole)
        return whole

    def _unfinished(self) -> Document:
        records = sorted(self._records.values(), key=lambda record: (record.index, record.finding.signature))
        result = Result(self._about.seed, records, self._last.programs, self._last.seconds)
        return document(result, self._about, self._files, self._timeline.points, ended=False)

    def _write(self, document: Document) -> None:
        try:
            write(document, self._path)
        except OSError as error:
            if not self._failed:
                self._warn(f"{self._path}: {error.strerror}; 'faultline report' will not know of this run")
            self._failed = True
        self._written_at = time.monotonic()
