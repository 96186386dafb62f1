"""The reference model: what documentation says a program does, byte for byte as a trace."""

from faultline.oracle.model import Expectation, Oracle, known_deviation
from faultline.oracle.rules import DEVIATIONS, RULES, KnownDeviation, Rule

__all__ = ["DEVIATIONS", "RULES", "Expectation", "KnownDeviation", "Oracle", "Rule", "known_deviation"]
