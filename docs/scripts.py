"""A tutorial's page and its notebook, made of the script itself.

``python docs/scripts.py FOLDER`` writes the notebooks of all tutorials.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Cell", "script_cells", "script_notebook", "script_page", "write_notebooks"]

CELL = "# %%"
INSTALL = (
    "Install the package first, in a clone of its repository (`CLONE_ADDRESS`) or from there:\n"
    '`%pip install "asgcn_dgl[train,viz] @ git+CLONE_ADDRESS"`.'
)


class Cell(NamedTuple):
    """One part of a script: a heading, prose, code; each may be empty."""

    heading: str
    prose: str
    code: str


def script_cells(text: str) -> tuple[str, list[Cell]]:
    """Return the opening of a script and its cells.

    The module's docstring is the opening. A cell begins with a line ``# %% Heading``; the comment
    lines under it are prose, and what follows, up to the next cell, is code.

    Parameters
    ----------
    text
        The script.

    Raises
    ------
    ValueError
        If the script has no docstring, no cell, or a statement that no cell shows.
    """
    tree = ast.parse(text)
    opening = ast.get_docstring(tree)
    if opening is None:
        raise ValueError("a script needs a docstring, which opens its page")
    end = tree.body[0].end_lineno or 0
    first, *cells = _cells(text.splitlines()[end:])
    if not cells or any(line.strip() for line in first):
        raise ValueError(f"after the docstring, a script's first line must begin with {CELL!r}")
    return opening, [
        Cell(heading.removeprefix(CELL).strip(), *_split(lines)) for heading, *lines in cells
    ]


def script_page(text: str) -> str:
    """Turn a script into the Markdown of its page, see :func:`script_cells`.

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
    opening, cells = script_cells(text)
    parts = [opening]
    for heading, prose, code in cells:
        if heading:
            parts.append(f"## {heading}")
        if prose:
            parts.append(prose)
        if code:
            parts.append(f"```python\n{code}\n```")
    return "\n\n".join(parts) + "\n"


def script_notebook(text: str) -> str:
    """Turn a script into a Jupyter notebook (version 4.5 of the format), as JSON.

    Examples
    --------
    >>> lines = ["'A page.'", "# %% Sums", "# Add.", "x = 1"]
    >>> notebook = json.loads(script_notebook(chr(10).join(lines)))
    >>> [cell["cell_type"] for cell in notebook["cells"]]
    ['markdown', 'markdown', 'code']
    """
    opening, cells = script_cells(text)
    parts: list[tuple[str, str]] = [("markdown", f"{opening}\n\n{INSTALL}")]
    for heading, prose, code in cells:
        words = "\n\n".join(part for part in (f"## {heading}" if heading else "", prose) if part)
        parts += [(kind, part) for kind, part in (("markdown", words), ("code", code)) if part]
    notebook = {
        "cells": [_notebook_cell(number, *part) for number, part in enumerate(parts)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def write_notebooks(folder: Path) -> list[Path]:
    """Write the notebook of each tutorial into a folder, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in sorted((Path(__file__).parent / "tutorials").glob("*.py")):
        written.append(folder / f"{path.stem}.ipynb")
        notebook = script_notebook(path.read_text(encoding="utf-8"))
        written[-1].write_text(notebook, encoding="utf-8")
    return written


def _notebook_cell(number: int, kind: str, text: str) -> dict[str, Any]:
    if kind == "markdown":  # Sphinx's roles mean nothing there
        text = re.sub(r"\{[a-z:]+\}`~?(?:[^`<]*<)?([^`>]+)>?`", r"`\1`", text)
    cell: dict[str, Any] = {
        "cell_type": kind,
        "id": f"cell-{number}",
        "metadata": {},
        "source": text.splitlines(keepends=True),
    }
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def _cells(lines: list[str]) -> list[list[str]]:
    """Split lines before each that begins a cell; the first part is what precedes all cells."""
    found: list[list[str]] = [[]]
    for line in lines:
        if line.startswith(CELL):
            found.append([])
        found[-1].append(line)
    return found


def _split(lines: list[str]) -> tuple[str, str]:
    """Split a cell's lines into prose and code."""
    length = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    prose = "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines[:length])
    return prose.strip("\n"), "\n".join(lines[length:]).strip("\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/scripts.py FOLDER")
    for file in write_notebooks(Path(sys.argv[1])):
        print(file)
