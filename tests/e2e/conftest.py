"""Runs the installed command on the default tree, or on the one that FAULTLINE_TREE names."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import COMMAND, Done


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here need a tree and a compiler."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.kernel)


@pytest.fixture
def faultline(tmp_path: Path) -> Callable[..., Done]:
    """Runs a faultline command in a folder of its own."""

    def run(*arguments: object) -> Done:
        command = [COMMAND, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=900)
        return Done(done.returncode, done.stdout, done.stderr)

    return run
