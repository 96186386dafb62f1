"""The historic bugs: the index tells the truth about them, and each fits the trees that it names."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from spatched import tree_to_patch

from faultline.campaign.benchmark import Sighting, Trial, attempt, chosen, read_set, sets, tree_of
from faultline.kinds import FaultlineError, FindingKind
from faultline.report.figures import trial_lines, trials_json
from faultline.tree.smpl import apply_smpl

BUGS = Path(__file__).parents[2] / "corpora" / "bugs"
ENTRIES = read_set("bugs")
APPLICATIONS = [(name, tree) for name, entry in ENTRIES.items() for tree in entry.trees]


def test_the_index_lists_every_semantic_patch() -> None:
    assert sorted(entry.file for entry in ENTRIES.values()) == sorted(path.name for path in BUGS.glob("*.cocci"))
    assert {"bugs", "thread"} <= set(sets())


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry(name: str) -> None:
    entry = ENTRIES[name]
    assert re.fullmatch(r"bug-\d\d[a-z]?", name)
    assert entry.file == f"{name}.cocci"
    assert entry.trees
    assert entry.expected
    assert not set(entry.expected) & set(entry.also)
    assert re.match(r"[0-9a-f]{12} \(", entry.source)
    files, licence, *_ = (BUGS / entry.file).read_text().splitlines()
    assert re.fullmatch(r"// files:( (mm|fs|kernel|include/linux)/[\w-]+\.[ch])+", files)
    assert licence == "// SPDX-License-Identifier: GPL-2.0-only"


@pytest.mark.kernel
@pytest.mark.parametrize(("name", "version"), APPLICATIONS)
def test_it_fits_the_tree(name: str, version: str) -> None:
    tree = tree_to_patch(version)

    def read(path: str) -> str | None:
        return (tree / path).read_text() if (tree / path).is_file() else None

    text = (BUGS / ENTRIES[name].file).read_text()
    assert all(after != read(path) for path, after in apply_smpl(text, read, name).items())


def test_a_damaged_index_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTLINE_CORPORA", str(tmp_path))
    (tmp_path / "mine").mkdir()
    with pytest.raises(FaultlineError, match="mine: no such set"):
        read_set("mine")
    index = tmp_path / "mine" / "index.toml"
    index.write_text('[one]\nfile = "one.cocci"\n')
    with pytest.raises(FaultlineError, match="mend the entry"):
        read_set("mine")
    fields = 'title = ""\ntrees = ["6.12"]\nmode = "S"\nexpected = ["wrong-data"]\nsource = ""\n'
    index.write_text(f'[one]\nfile = "one.cocci"\n{fields}')
    with pytest.raises(FaultlineError, match=r"names one\.cocci, which is not there"):
        read_set("mine")


def test_which_bugs_are_tried_and_on_which_tree() -> None:
    alone, interleaved = (chosen("bugs", ENTRIES, None, (), interleaved=mode) for mode in (False, True))
    assert {entry.mode for entry in alone.values()} == {"S"}
    assert {entry.mode for entry in interleaved.values()} == {"I"}
    assert {tree_of(entry) for entry in alone.values()} == {"debian:6.12"}
    assert tree_of(ENTRIES["bug-18"]) == "debian:5.10"
    assert tree_of(ENTRIES["bug-02"]) == "debian:6.1"
    assert "bug-02" not in chosen("bugs", ENTRIES, "6.12", (), interleaved=True)
    assert list(chosen("bugs", ENTRIES, None, ["bug-02"], interleaved=False)) == ["bug-02"]
    with pytest.raises(FaultlineError, match="bug-99: not in corpora/bugs"):
        chosen("bugs", ENTRIES, None, ["bug-99"], interleaved=False)
    with pytest.raises(FaultlineError, match=r"nothing of it is for Linux 4\.9"):
        chosen("bugs", ENTRIES, "4.9", (), interleaved=False)


def test_a_repro_that_does_not_always_show_its_finding_is_no_pass() -> None:
    def trial(*sightings: Sighting) -> Trial:
        return Trial("bug-02", ENTRIES["bug-02"], sightings, (), (), 10, 1.5)

    steady = Sighting(FindingKind.KERNEL_BUG, 1.0, 6, 1, 100)
    unsteady = Sighting(FindingKind.KERNEL_BUG, 1.0, 6, 1, 99)
    sequential = Sighting(FindingKind.KERNEL_BUG, 1.0, 6, None, 100)
    assert trial(steady).passed
    assert not trial(unsteady).passed
    assert [text.split()[:6] for _, text in trial_lines(trial(steady, sequential))] == [
        ["bug-02", "kernel-bug", "1.0", "6", "1", "100"],
        ["kernel-bug", "1.0", "6", "-", "100"],
    ]
    assert trials_json([trial(steady)])["trials"][0]["found"][0]["preemptions"] == 1


@pytest.mark.kernel
def test_a_bug_that_needs_an_interleaving_is_found_and_its_repro_shows_it_each_time() -> None:
    if not shutil.which("spatch"):
        pytest.skip("spatch is missing: apt-get install coccinelle")
    entry = ENTRIES["bug-48"]
    trial = attempt("bug-48", entry, BUGS, tree_of(entry), seconds=120, seed=1, jobs=1, say=lambda _: None)
    assert trial.passed
    (sighting,) = trial.sightings
    assert sighting.operations <= 4
    assert sighting.preemptions == 1
