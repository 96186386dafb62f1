"""The command line over a fake machine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_machine import judge_maker

from faultline.cli import desk
from faultline.tree import TreeInfo

TREE = TreeInfo(Path("/trees/linux-6.12"), "debian:6.12", "linux-source-6.12 6.12.117-1", "6.12.117", 6, 12)


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Makes every command run on fakes: ``plant(*plants, base=[...])``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FAULTLINE_TREE", raising=False)
    # what is found and how small it gets must not depend on the programs of the corpora
    monkeypatch.setenv("FAULTLINE_CORPORA", str(tmp_path / "no-corpora"))

    def use(
        *plants: str, base: list[str] | None = None, untried: str = "", lacks: list[str] | None = None
    ) -> None:
        def prepare(kernel: str, patches: list[Path], profile: str, *, check: bool, **_: object) -> SimpleNamespace:
            maker = judge_maker(*plants, base=(base or []) if check else None, lacks=lacks or [])
            return SimpleNamespace(
                judge_maker=lambda schedules=None: maker, kernel_tree=TREE, diff="",
                library=SimpleNamespace(tree=SimpleNamespace(untried=untried)),
            )  # fmt: skip

        monkeypatch.setattr(desk, "prepare", prepare)

    return use


@pytest.fixture
def patch(tmp_path: Path) -> Path:
    path = tmp_path / "fix.patch"
    path.write_text("--- a/mm/memory.c\n+++ b/mm/memory.c\n")
    return path
