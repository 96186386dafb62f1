"""The base machines: of the default tree, and of each tree that is supported and at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from machines import machine_of

from faultline.backend.machine import Machine
from faultline.build import build
from faultline.program.cheader import c_header
from faultline.tree import DEFAULT_TREE, SUPPORTED, find_tree
from faultline.tree.cache import cache_dir

_SPECS = [f"debian:{major}.{minor}" for major, minor in SUPPORTED]


def library_of(spec: str) -> Path:
    """The built base machine of a tree."""
    return build(find_tree(spec), extra_headers={"ops.h": c_header()}).path


@pytest.fixture(scope="session")
def base_library() -> Path:
    return library_of(os.environ.get("FAULTLINE_TREE", DEFAULT_TREE))


@pytest.fixture(scope="session")
def machine(base_library: Path) -> Machine:
    return machine_of(base_library)


@pytest.fixture(
    scope="session", params=[pytest.param(spec, marks=pytest.mark.xdist_group(spec)) for spec in _SPECS], ids=_SPECS
)
def any_library(request: pytest.FixtureRequest) -> Path:
    """Of each supported tree that setup could fetch."""
    spec: str = request.param
    if not (cache_dir() / "trees" / f"linux-{spec.removeprefix('debian:')}").is_dir():
        pytest.skip(f"{spec} was not fetched")
    return library_of(spec)


@pytest.fixture(scope="session")
def any_machine(any_library: Path) -> Machine:
    return machine_of(any_library)
