"""Kernel trees: finding or fetching one, and patches laid over it."""

from faultline.tree.find import SUPPORTED, TreeInfo, find_tree
from faultline.tree.patch import Overlay

__all__ = ["SUPPORTED", "Overlay", "TreeInfo", "find_tree"]
