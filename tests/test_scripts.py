"""A script becomes a page that shows all of it."""

import ast
import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import scripts

DOCS = Path(__file__).resolve().parents[1] / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.py"))


def test_example():
    failed, tried = doctest.testmod(scripts, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried and not failed


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_page_shows_every_line_of_code(path):
    text = path.read_text(encoding="utf-8")
    page = scripts.script_page(text)
    assert page.startswith("# ")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    shown = [line for block in blocks for line in block.splitlines() if line.strip()]
    after = text.split('"""', 2)[2]
    code = [line for line in after.splitlines() if line.strip() and not line.startswith("#")]
    assert [line for line in shown if not line.startswith("#")] == code


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("# %%\nx = 1\n", "docstring"),
        ('"""# A"""\n', "first line"),
        ('"""# A"""\nx = 1\n# %%\ny = 2\n', "first line"),
    ],
)
def test_what_would_not_be_shown_is_refused(text, error):
    with pytest.raises(ValueError, match=error):
        scripts.script_page(text)


def test_prose_ends_with_the_first_line_of_code():
    page = scripts.script_page('"""# A"""\n# %%\n# Prose.\n#\n# More.\nx = 1\n# a comment\ny = 2\n')
    assert page == "# A\n\nProse.\n\nMore.\n\n```python\nx = 1\n# a comment\ny = 2\n```\n"


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_notebook_holds_the_code_of_the_script(path):
    """Run in order, its cells are the script, which ``test_tutorials.py`` runs."""
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(scripts.script_notebook(text))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    run, written = (ast.parse(part) for part in ("\n".join(code), text))
    assert ast.dump(run) == ast.dump(ast.Module(written.body[1:], written.type_ignores))
    prose = "".join(
        "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"
    )
    assert "{py:" not in prose and "{doc}" not in prose


def test_notebooks_of_all_tutorials_are_written(tmp_path):
    folder = tmp_path / "notebooks"
    found = subprocess.run(
        [sys.executable, DOCS / "scripts.py", folder], capture_output=True, text=True, check=True
    )
    names = sorted(path.stem for path in TUTORIALS)
    assert [Path(line).stem for line in found.stdout.splitlines()] == names
    assert sorted(path.stem for path in folder.glob("*.ipynb")) == names
