"""A tutorial's page, made of the script itself."""

from __future__ import annotations

import ast

__all__ = ["script_page"]

CELL = "# %%"


def script_page(text: str) -> str:
    """Turn a script into the Markdown of its page.

    The module's docstring opens the page. A cell begins with a line ``# %% Heading``; the comment
    lines under it are prose, and what follows, up to the next cell, is code.

    Parameters
    ----------
    text
        The script.

    Raises
    ------
    ValueError
        If the script has no docstring, no cell, or a statement that no cell shows.

    Examples
    --------
    >>> print(script_page('''\"\"\"# Sums\"\"\"
    ... # %% One and one
    ... # We *add*.
    ... total = 1 + 1  # two
    ... '''))
    # Sums
    <BLANKLINE>
    ## One and one
    <BLANKLINE>
    We *add*.
    <BLANKLINE>
    ```python
    total = 1 + 1  # two
    ```
    <BLANKLINE>
    """
    tree = ast.parse(text)
    opening = ast.get_docstring(tree)
    if opening is None:
        raise ValueError("a script needs a docstring, which opens its page")
    end = tree.body[0].end_lineno or 0
    first, *cells = _cells(text.splitlines()[end:])
    if not cells or any(line.strip() for line in first):
        raise ValueError(f"after the docstring, a script's first line must begin with {CELL!r}")
    parts = [opening]
    for heading, *lines in cells:
        title = heading.removeprefix(CELL).strip()
        if title:
            parts.append(f"## {title}")
        prose, code = _split(lines)
        if prose:
            parts.append(prose)
        if code:
            parts.append(f"```python\n{code}\n```")
    return "\n\n".join(parts) + "\n"


def _cells(lines: list[str]) -> list[list[str]]:
    """Part lines before each that begins a cell; the first part is what stands before all cells."""
    found: list[list[str]] = [[]]
    for line in lines:
        if line.startswith(CELL):
            found.append([])
        found[-1].append(line)
    return found


def _split(lines: list[str]) -> tuple[str, str]:
    """Part a cell's lines into prose and code."""
    length = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    prose = "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines[:length])
    return prose.strip("\n"), "\n".join(lines[length:]).strip("\n")
