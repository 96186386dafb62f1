"""The base machine of the default tree, built once for all tests here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from faultline.backend.machine import Machine
from faultline.build import build
from faultline.program.cheader import c_header
from faultline.tree import DEFAULT_TREE, find_tree


@pytest.fixture(scope="session")
def base_library() -> Path:
    tree = find_tree(os.environ.get("FAULTLINE_TREE", DEFAULT_TREE))
    return build(tree, extra_headers={"ops.h": c_header()}).path


@pytest.fixture(scope="session")
def machine(base_library: Path) -> Iterator[Machine]:
    made = Machine(base_library)
    yield made
    made.close()
