"""The historic bugs: the index tells the truth about them, and each fits the trees that it names."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from faultline.campaign.benchmark import read_set, sets
from faultline.kinds import FaultlineError
from faultline.tree.cache import cache_dir
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
    if not shutil.which("spatch"):
        pytest.skip("spatch is missing: apt-get install coccinelle")
    tree = cache_dir() / "trees" / f"linux-{version}"
    if not (tree / "Makefile").is_file():
        pytest.skip(f"no tree of Linux {version}: `faultline tree fetch debian:{version}`")

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
