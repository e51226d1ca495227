"""What can go wrong in training through nobody's input. Imports nothing."""

from __future__ import annotations


class DivergenceError(RuntimeError):
    """Training has left the finite numbers; the last checkpoint is from before."""
