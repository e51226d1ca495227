"""The error for input that cannot be used."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["InputError", "did_you_mean"]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question that names what looks like an unknown word; empty if nothing does.

    Examples
    --------
    >>> did_you_mean("left_fhoof", ["left_hoof", "croup"])
    " (did you mean 'left_hoof'?)"
    """
    folded = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), folded, n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(repr(folded[name]) for name in close)}?)" if close else ""


class InputError(ValueError):
    """Something the user gave (a file, a folder, an option) cannot be used.

    The message names the file, the place in it and the remedy. The command line prints it on one
    line and leaves with exit status 2.
    """

    def __str__(self) -> str:
        """Return the message; of one from a worker of a loader without torch's traceback."""
        text = super().__str__()
        if text.startswith("Caught InputError in "):
            text = text.rsplit(f"{__name__}.InputError: ", 1)[-1].strip()
        return text
