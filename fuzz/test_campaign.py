"""A campaign under pytest: `pytest -n auto fuzz/`, one worker per core, examples drawn and shrunk by Hypothesis."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from shared import Campaign

from faultline.program.codec import Operation
from faultline.program.generate import programs
from faultline.verdict.finding import Finding
from faultline.verdict.judge import Blame

#: Examples between two looks at the clock.
ROUND = 500
SETTINGS = settings(
    max_examples=ROUND,
    deadline=None,
    database=None,
    print_blob=False,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


class Found(AssertionError):
    """A finding.  Each signature has a class of its own, so that Hypothesis shrinks within one defect."""

    def __init__(self, finding: Finding, ops: list[Operation]) -> None:
        super().__init__(finding.signature)
        self.finding, self.ops = finding, ops


def test_campaign(campaign: Campaign) -> None:
    """Runs examples until the time is over or something is found."""
    end = time.monotonic() + campaign.shared.seconds
    for number in itertools.count():
        if time.monotonic() >= end:
            return
        reports = list(_round(campaign, number))
        if reports:
            pytest.fail("\n".join(["", *reports]), pytrace=False)


def _round(campaign: Campaign, number: int) -> Iterator[str]:
    """The reports of what one round finds, shrunk."""
    examples = seed(campaign.seed << 32 | number)(SETTINGS(given(programs(has=campaign.judge.has))(_example(campaign))))
    try:
        examples()
    except Found as found:
        yield campaign.write(found.finding, found.ops)
    except BaseExceptionGroup as several:
        for one in several.exceptions:
            if not isinstance(one, Found):
                raise
            yield campaign.write(one.finding, one.ops)


def _example(campaign: Campaign) -> Callable[[list[Operation]], None]:
    classes: dict[str, type[Found]] = {}

    def example(ops: list[Operation]) -> None:
        verdict = campaign.judge.judge(ops)
        finding = verdict.finding
        if finding is None or verdict.blame is not Blame.NEW:
            return
        signature = finding.signature
        if signature not in classes:
            classes[signature] = type("Found", (Found,), {})
            campaign.write(finding, ops)  # on disk before it is shrunk
        raise classes[signature](finding, ops)

    return example
