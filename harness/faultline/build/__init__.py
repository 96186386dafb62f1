"""Builds a kernel tree and the machine under it into one library, cached by content."""

from faultline.build.library import BuiltLibrary, build, csrc_dir, kernel_files
from faultline.build.symbols import Frame, Symbolizer
from faultline.build.units import Variant

__all__ = ["BuiltLibrary", "Frame", "Symbolizer", "Variant", "build", "csrc_dir", "kernel_files"]
