"""Faultline: property-based fuzzing for memory-management refactors."""

__version__ = "0.1.0"
