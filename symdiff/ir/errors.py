"""The error hierarchy: everything symdiff raises on purpose is a `SymdiffError`.

A message has one sentence each for what was asked, where, what was expected and got, and what to try.
"""

from __future__ import annotations


class SymdiffError(Exception):
    """Base of all errors that symdiff raises on purpose."""


class ShapeError(SymdiffError, ValueError):
    """Shapes that do not fit together; raised when an expression is built or a function is called."""


class DTypeError(SymdiffError, TypeError):
    """A value of the wrong kind: a string where a number is needed, float data for an integer array."""


class DomainError(SymdiffError, ValueError):
    """A value outside the set where an operation is defined, such as an index out of range."""


class ParseError(SymdiffError, ValueError):
    """Text that is not an expression of the language."""


class DerivativeError(SymdiffError, TypeError):
    """A derivative that does not exist or has no rule; raised when the derivative is built."""


class UnknownSymbolError(SymdiffError, KeyError):
    """A symbol that an expression needs and nobody supplied, or one it does not contain."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument; a sentence should read as a sentence.
        return str(self.args[0]) if self.args else ""


class CompileError(SymdiffError, RuntimeError):
    """A program that a target cannot run: the message names the primitive and the target."""


class CapacityError(SymdiffError, MemoryError):
    """More memory than a device has free: the message gives both numbers."""


class ConvergenceError(SymdiffError, RuntimeError):
    """An iteration that had to converge and did not."""


class NotFittedError(SymdiffError, ValueError, AttributeError):
    """A model that is asked for predictions before `fit`."""


class CheckError(SymdiffError, AssertionError):
    """A derivative that `check` found wrong: a failed assertion of the user's test."""


class VerifyError(SymdiffError, AssertionError):
    """An internal invariant of the IR does not hold: a bug in a pass, never the user's mistake."""
