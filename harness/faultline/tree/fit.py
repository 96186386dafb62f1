"""Which of the trees at hand a patch is for, if it is not for the one that was named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faultline.kinds import FaultlineError
from faultline.tree.cache import cache_dir
from faultline.tree.diff import Misfit
from faultline.tree.find import TreeInfo, find_tree
from faultline.tree.patch import Overlay


@dataclass(frozen=True, order=True, slots=True)
class _Fit:
    patches: int
    """That fit, one after the other."""
    share: float
    """Of the hunks of the one that does not."""

    @property
    def whole(self) -> bool:
        return self.share > 1


def lay(tree: TreeInfo, patches: Sequence[Path]) -> Overlay:
    """The tree with the patches.  Raises as :class:`Overlay` does, with the tree that they fit better."""
    try:
        return Overlay(tree.path, patches)
    except Misfit as misfit:
        raise with_better_tree(misfit, patches, tree) from None


def with_better_tree(misfit: Misfit, patches: Sequence[Path], tree: TreeInfo) -> Misfit:
    """The error with the tree in the cache that the patches fit better, if there is one.

    Semantic patches are not tried: each would take seconds on each tree.
    """
    if any(patch.suffix == ".cocci" for patch in patches):
        return misfit
    others = {other: _fit(other.path, patches) for other in _trees() if other.path != tree.path}
    best = max(others, key=lambda other: (others[other], other.kver), default=None)
    if best is None or others[best] <= _fit(tree.path, patches):
        return misfit
    how = "fits" if others[best].whole else "fits better, but not whole,"
    text = f"{misfit}; it is for another tree than {tree.version}: it {how} {best.version}, --tree {_spec(best)}"
    return Misfit(text, misfit.fits, misfit.hunks, details=misfit.details)


def _fit(tree: Path, patches: Sequence[Path]) -> _Fit:
    overlay = Overlay(tree)
    for done, patch in enumerate(patches):
        try:
            overlay.apply(patch)
        except Misfit as misfit:
            return _Fit(done, misfit.fits / misfit.hunks)
        except FaultlineError:
            return _Fit(done, 0.0)
    return _Fit(len(patches), 2.0)


def _trees() -> list[TreeInfo]:
    """The trees in the cache."""
    found = []
    folder = cache_dir() / "trees"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            found.append(find_tree(str(path)))
        except FaultlineError:  # half a tree, or somebody's own folder
            continue
    return found


def _spec(tree: TreeInfo) -> str:
    release = f"{tree.major}.{tree.minor}"
    return f"debian:{release}" if tree.path.name == f"linux-{release}" else str(tree.path)
