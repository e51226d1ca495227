"""The error for input that cannot be used."""

from __future__ import annotations

__all__ = ["InputError"]


class InputError(ValueError):
    """Something the user gave (a file, a folder, an option) cannot be used.

    The message names the file, the place in it and the remedy. The command line prints it on one
    line and leaves with exit status 2.

    Examples
    --------
    >>> from asgcn_dgl.errors import InputError
    >>> issubclass(InputError, ValueError)
    True
    """

    def __str__(self) -> str:
        """Return the message; of one from a worker of a loader without torch's traceback."""
        text = super().__str__()
        if text.startswith("Caught InputError in "):
            text = text.rsplit(f"{__name__}.InputError: ", 1)[-1].strip()
        return text
