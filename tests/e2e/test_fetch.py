"""Fetching a tree that the machine's own apt sources do not have, from the real mirror."""

from __future__ import annotations

import shutil

import pytest

from faultline.kinds import ExitStatus


def test_a_tree_of_another_suite(faultline, tmp_path, monkeypatch):
    if not shutil.which("apt-get"):
        pytest.skip("needs apt-get")
    monkeypatch.setenv("FAULTLINE_CACHE", str(tmp_path / "cache"))
    done = faultline("tree", "fetch", "debian:5.10")
    if "is the network there?" in done.err or "it takes an apt source" in done.err or "no suite of" in done.err:
        pytest.skip(done.err.strip())
    assert done.status == ExitStatus.CLEAN, done.err
    path, version, package, _ = done.out.split()
    assert path == str(tmp_path / "cache/trees/linux-5.10")
    assert version.startswith("5.10.")
    assert package == "linux-source-5.10"
    for name in ("mm/memory.c", "include/linux/mm.h", "Documentation/vm/ksm.rst", "arch/x86/include/asm/pgtable.h"):
        assert (tmp_path / "cache/trees/linux-5.10" / name).is_file()
    assert list((tmp_path / "cache/tmp").iterdir()) == []
