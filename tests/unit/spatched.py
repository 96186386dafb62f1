"""Kernel trees for tests of semantic patches."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from faultline.tree.cache import cache_dir


def tree_to_patch(version: str) -> Path:
    """The tree of a version in the cache; without it, or without spatch, the test is skipped."""
    if not shutil.which("spatch"):
        pytest.skip("spatch is missing: apt-get install coccinelle")
    tree = cache_dir() / "trees" / f"linux-{version}"
    if not (tree / "Makefile").is_file():
        pytest.skip(f"no tree of Linux {version}: `faultline tree fetch debian:{version}`")
    return tree
