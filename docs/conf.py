import sys
from pathlib import Path

from pygments.lexers.special import TextLexer

import asgcn_dgl

sys.path.insert(0, str(Path(__file__).parent))
from results import PLACE, results_page
from scripts import script_page, write_notebooks

project = "asgcn_dgl"
author = "the asgcn_dgl developers"
copyright = author
version = release = asgcn_dgl.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown", ".py": "markdown"}
exclude_patterns = ["_build", "*.py"]  # tutorials are scripts; Python files beside this one are not
html_theme = "furo"
html_title = f"asgcn_dgl {release}"

myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "both"
autodoc_typehints_description_target = "documented"
nitpicky = True
nitpick_ignore_regex = [
    # Documented elsewhere.
    (r"py:.*", r"(torch|numpy|np|npt|nx|scipy|networkx|matplotlib|pathlib|collections)\..*"),
    (r"py:.*", r"(os|typing|pytorch_lightning)\..*"),
    # Types in signatures: aliases, parts of a Literal or a list, and classes of one module's own.
    (r"py:(class|obj)", r"\w+|.*[\[\]'].*"),
    (
        r"py:class",
        r"asgcn_dgl\..*\.(Doubt|Engine|ForecastConfig|Limb|PairGroup|Part|PlantedArea|Recorder|RunDir|RunSummary|Unit)",
    ),
    (r"py:class", r"asgcn_dgl\..*\.(Model|Seen|Take|Template)"),
]
napoleon_google_docstring = False
napoleon_use_ivar = True  # else the fields of named tuples are described twice
napoleon_use_rtype = False


def fill_page(app, name, source):
    """Make pages of scripts and of result files, before they are parsed."""
    path = Path(app.env.doc2path(name))
    if path.suffix == ".py":
        link = f'<a href="../notebooks/{path.stem}.ipynb" download>Jupyter notebook</a>'
        more = f"This page as a script: `docs/{name}.py`; as a {link}."
        source[0] = f"{script_page(source[0])}\n{more}\n"
    elif PLACE in source[0]:
        for file in path.parent.glob("*.json"):
            app.env.note_dependency(str(file))
        source[0] = source[0].replace(PLACE, results_page(path.parent))


def add_notebooks(app, exception):
    """Write each tutorial as a notebook beside the pages."""
    if exception is None and app.builder.format == "html":
        write_notebooks(Path(app.outdir) / "notebooks")


def plain_attribute(app, what, name, obj, options, lines):
    """Keep napoleon from reading what an attribute's text has before a colon as its type."""
    if what == "attribute":
        lines[:0] = ["..", ""]  # an empty comment


def setup(app):
    app.add_lexer("csv", TextLexer)
    app.connect("source-read", fill_page)
    app.connect("autodoc-process-docstring", plain_attribute, priority=100)  # napoleon's is 500
    app.connect("build-finished", add_notebooks)
