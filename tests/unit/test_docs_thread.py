"""docs/thread.md holds a row for each proposal and tree that the index names, with the verdict that is recorded."""

from __future__ import annotations

from pathlib import Path

from faultline.campaign.benchmark import read_set
from faultline.campaign.rows import THREAD_TREES, Row

TEXT = (Path(__file__).parents[2] / "docs/thread.md").read_text()


def test_every_proposal_stands_with_its_verdict() -> None:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line[:1] == "|"][2:]
    told = {(name.partition(":")[0], tree): (eye, must, verdict) for name, eye, tree, must, verdict, _ in cells}
    recorded = {(name, tree): entry for name, entry in read_set("thread").items() for tree in entry.trees}
    assert set(told) == set(recorded)
    for (name, tree), entry in recorded.items():
        row = Row(name, entry, tree)
        eye, must, verdict = told[name, tree]
        assert (eye, must) == (entry.by_eye, row.expected)
        assert verdict in ((row.expected,) if must != "right" else ("same", "right, not the same"))
    for name in read_set("thread"):
        for tree in THREAD_TREES:
            version = tree.removeprefix("debian:")
            assert ((name, version) in told) != (f"- {name} on {version}: " in TEXT)
