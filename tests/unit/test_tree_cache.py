"""The cache folder."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest
from minitree import write

from faultline.kinds import FaultlineError
from faultline.tree import cache


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/x")
    monkeypatch.delenv("FAULTLINE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache.cache_dir() == Path("/home/x/.cache/faultline")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache.cache_dir() == Path("/xdg/faultline")
    monkeypatch.setenv("FAULTLINE_CACHE", "~/mine")
    assert cache.cache_dir() == Path("/home/x/mine")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_reads_as_one(number: int) -> None:
    with pytest.raises(FaultlineError, match="no space left for the cache /c"), cache.writing(Path("/c")):
        raise OSError(number, os.strerror(number))


def test_a_read_only_disk_reads_as_one() -> None:
    with pytest.raises(FaultlineError, match="cannot write to the cache /c: Read-only"), cache.writing(Path("/c")):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    cache.store(tmp_path / "a/b", b"1")
    with pytest.raises(TypeError):
        cache.store(tmp_path / "a/b", "text")  # type: ignore[arg-type]
    assert (tmp_path / "a/b").read_bytes() == b"1"
    assert os.listdir(tmp_path / "a") == ["b"]


def test_a_scratch_folder_ends_with_its_use(tmp_path: Path) -> None:
    def interrupted() -> None:
        with cache.scratch(tmp_path) as work:
            (work / "file").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(tmp_path / "tmp") == []


def entry(path: Path, size: int, hours: float) -> Path:
    """A file that was last used so many hours ago."""
    write(path.parent, {path.name: "x" * size})
    used = time.time() - hours * 3600
    os.utime(path, (used, used))
    return path


def test_what_was_not_used_for_longest_is_pruned_first(tmp_path: Path) -> None:
    old = entry(tmp_path / "objects/old.o", 1000, 90)
    middle = entry(tmp_path / "libs/middle.so", 1000, 80)
    new = entry(tmp_path / "objects/new.o", 1000, 70)
    assert cache.prune(tmp_path, 3000) == 0
    assert cache.prune(tmp_path, 2500) == 1000
    assert [path.exists() for path in (old, middle, new)] == [False, True, True]
    assert cache.prune(tmp_path, 0) == 2000


def test_pruning_waits_for_its_turn(tmp_path: Path) -> None:
    first = entry(tmp_path / "objects/first.o", 1000, 90)
    cache.prune_now_and_then(tmp_path, 0)
    assert not first.exists()
    second = entry(tmp_path / "objects/second.o", 1000, 90)
    cache.prune_now_and_then(tmp_path, 0)
    assert second.exists()
    for hours in (1, -1):  # long ago, and by a clock that was wrong
        entry(tmp_path / "objects/second.o", 1000, 90)
        entry(tmp_path / "pruned", 0, hours)
        cache.prune_now_and_then(tmp_path, 0)
        assert not second.exists()


def test_what_is_in_use_and_the_trees_stay(tmp_path: Path) -> None:
    fresh = entry(tmp_path / "objects/fresh.o", 1000, 1)
    tree = entry(tmp_path / "trees/linux-6.12/Makefile", 1000, 900)
    assert cache.prune(tmp_path, 0) == 0
    assert fresh.exists()
    assert tree.exists()


def test_folders_and_leftovers_are_pruned(tmp_path: Path) -> None:
    folder = entry(tmp_path / "overlays/abc/files/mm/memory.c", 1000, 90).parents[2]
    leftover = entry(tmp_path / "tmp/dead/part", 10, 90).parent
    used = time.time() - 90 * 3600
    for path in (folder, leftover):
        os.utime(path, (used, used))
    assert cache.prune(tmp_path, 10) == 1000
    assert not folder.exists()
    assert not leftover.exists()
