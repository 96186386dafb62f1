"""Refactors that keep behaviour come out the same, with their lines reached; with a call lost they do not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from faultline.campaign.benchmark import read_set
from faultline.campaign.rows import REFACTORS
from faultline.kinds import ExitStatus
from faultline.tree import DEFAULT_TREE, Overlay, find_tree
from faultline.tree.changes import changes_of

FOLDER = Path(__file__).parents[2] / "corpora" / REFACTORS
ENTRIES = read_set(REFACTORS)
#: Those of the corpora that run what the patches change come first.
PROGRAMS = 150


@pytest.mark.parametrize("name", ["split", "early-return"])
def test_a_refactor_and_its_slip(name: str, faultline, tmp_path: Path) -> None:
    if not shutil.which("spatch"):
        pytest.skip("spatch is missing: apt-get install coccinelle")
    options = ("--tree", DEFAULT_TREE, "--programs", PROGRAMS, "--seed", 1, "--json", "-q")
    refactor, slip = ENTRIES[name], ENTRIES[f"{name}-slip"]
    done = faultline("check", "--patch", FOLDER / refactor.file, *options)
    assert (done.status, done.json["verdict"], done.json["findings"]) == (ExitStatus.CLEAN, "clean", []), done.err
    reach = done.json["reach"]
    assert reach["reached"] >= 0.8 * reach["total"], reach["lines"]
    assert reach["branches_taken"] >= 0.6 * reach["branches"] > 0

    overlay = Overlay(find_tree(DEFAULT_TREE).path, slip.patches(FOLDER))
    (tmp_path / "slip.diff").write_text(changes_of(overlay))
    lost = faultline("check", "--patch", "slip.diff", *options)
    kinds = {finding["kind"] for finding in lost.json["findings"]}
    assert lost.status == ExitStatus.FINDINGS
    assert kinds >= set(slip.expected)
    assert kinds <= {*slip.expected, *slip.also}
