"""Kernel trees: finding or fetching one, and patches laid over it."""

from faultline.tree.find import DEFAULT_TREE, SUPPORTED, TreeInfo, find_tree
from faultline.tree.patch import Overlay

__all__ = ["DEFAULT_TREE", "SUPPORTED", "Overlay", "TreeInfo", "find_tree"]
