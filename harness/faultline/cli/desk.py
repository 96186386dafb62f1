"""What commands do in common: what the options amount to, and what is built of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import msgspec

from faultline.build import Variant
from faultline.campaign.series import Ladder, build_ladder
from faultline.campaign.subject import DEFAULT_PROFILE, LIVE_KERNEL, LiveSubject, Subject, prepare
from faultline.cli.flags import NO_SCHEDULES
from faultline.kinds import ExitStatus, FaultlineError
from faultline.report.console import Screen
from faultline.report.repro import Patch, Setting
from faultline.tree import DEFAULT_TREE, TreeInfo, find_tree
from faultline.tree.revisions import fixed_range, read_range
from faultline.tree.series import Series, read_series
from faultline.verdict.judge import Judge


@dataclass(frozen=True)
class Desk:
    """What a command works with."""

    screen: Screen
    setting: Setting
    jobs: int
    verbose: bool

    @cached_property
    def series(self) -> Series:
        """The patches, unpacked; what of the input was left out is said."""
        setting, screen = self.setting, self.screen
        if setting.range:
            series = read_range(Path(setting.kernel), setting.range, screen.status)
        else:
            series = read_series([patch.path for patch in setting.patches])
        for note in series.notes:
            screen.warn(note)
        return series

    @cached_property
    def ladder(self) -> Ladder:
        """Builds the tree with the first patch, with the first two, and so on."""
        setting, series = self.setting, self.series
        tree = find_tree(str(series.base or setting.kernel), self.screen.status)
        return build_ladder(
            tree, series, setting.profile, jobs=self.jobs, say=self.screen.status, variant=setting.variant
        )

    def subject(self, *, check: bool, reach: bool = False) -> Subject | LiveSubject:
        """Builds what the setting names, with its base for a check; ``reach``: such that changed lines are counted."""
        return LiveSubject.checked() if self.setting.kernel == LIVE_KERNEL else self.tree(check=check, reach=reach)

    def tree(self, *, check: bool, reach: bool = False) -> Subject:
        """Builds the tree that the setting names; of a series to check as much as applies and compiles."""
        with self.screen.progress():
            try:
                subject = self._prepared(self.series.paths, check=check, reach=reach)
            except FaultlineError as error:
                if not check or len(self.series.patches) == 1:
                    raise
                subject = self._part(error, reach=reach)
        warn_of(subject.library.tree, self.screen)
        return subject

    def _part(self, error: FaultlineError, *, reach: bool) -> Subject:
        """Builds what can be tested of a series that cannot be as a whole.

        :raises FaultlineError: the error, if that is nothing.
        """
        if error.status is ExitStatus.ERROR and self.ladder.highest:
            self.screen.warn(f"{error}; what can be built of the series is tested without it")
            return self._prepared(self.series.paths[: self.ladder.highest], check=True, reach=reach, idle=True)
        if error.status is ExitStatus.SKIPPED and self.ladder.moves:
            self.screen.warn("the series as a whole changes nothing that is built; its patches are tested one by one")
            return self._prepared(self.series.paths, check=True, reach=reach, idle=True)
        raise error

    def _prepared(self, paths: list[Path], *, check: bool, reach: bool, idle: bool = False) -> Subject:
        setting = self.setting
        return prepare(
            str(self.series.base or setting.kernel), paths, setting.profile, check=check, jobs=self.jobs,
            say=self.screen.status, variant=setting.variant, reach=reach, strict=setting.strict, idle=idle,
        )  # fmt: skip


def unrecorded(_: bytes) -> None:
    """No flight recorder: what runs here runs in a child first, or is not a campaign."""


def begin(
    as_json: bool, *, tree: str | None, patches: Sequence[Path], profile: str | None, jobs: int, quiet: bool,
    verbose: bool, seed: int | None = None, variant: Variant = "plain", revisions: str | None = None,
) -> Desk:  # fmt: skip
    """What the common options amount to."""
    kernel = tree or DEFAULT_TREE
    if revisions and patches:
        raise click.UsageError("--range and --patch exclude each other; give one")
    if revisions and (tree is None or tree.startswith("debian:")):
        raise click.UsageError("--range needs --tree DIR, the git repository that it is in")
    if kernel == LIVE_KERNEL:
        jobs = 1  # KSM and swap are there once
    elif not kernel.startswith("debian:"):
        kernel = str(Path(kernel).expanduser().absolute())
    named = tuple(Patch.of(path) for path in patches)
    commits = fixed_range(Path(kernel), revisions) if revisions else ""
    setting = Setting(kernel, profile or DEFAULT_PROFILE, named, seed, variant, commits)
    return Desk(Screen(quiet=quiet, data=as_json), setting, jobs, verbose)


def warn_of(tree: TreeInfo, screen: Screen) -> None:
    """Says that a tree of such a version was never tried."""
    if tree.untried:
        screen.warn(tree.untried)


def print_json(data: dict[str, Any]) -> None:
    """Prints a command's result for another program, indented."""
    print(msgspec.json.format(msgspec.json.encode(data)).decode())


def take_live(options: dict[str, Any]) -> None:
    """Puts the running kernel in the place of a tree.

    :raises click.UsageError: another option asks for what is a built machine's alone.
    """
    flags = {"patches": "--patch", "revisions": "--range", "schedules": "--schedules", "races": "--races"}
    for name, flag in flags.items():
        if options.get(name) and options[name] != NO_SCHEDULES:
            raise click.UsageError(f"{flag} is for built trees, and --live is the running kernel; leave one out")
    options["tree"] = LIVE_KERNEL


@contextmanager
def given_back(judge: Judge) -> Iterator[None]:
    """Gives a judge's machines back at the end, also of one that goes wrong."""
    try:
        yield
    finally:
        judge.give_back()
