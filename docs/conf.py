import sys
from pathlib import Path

import asgcn_dgl

sys.path.insert(0, str(Path(__file__).parent))
from scripts import script_page

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
]
source_suffix = {".md": "markdown", ".py": "markdown"}
exclude_patterns = ["_build", "*.py"]  # tutorials are scripts; Python files beside this one are not
html_theme = "furo"
html_title = f"asgcn_dgl {release}"

myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say types and shapes
napoleon_google_docstring = False
napoleon_use_ivar = True  # else the fields of named tuples are described twice
napoleon_use_rtype = False


def read_script(app, name, source):
    """Make a tutorial's page of its script before it is parsed."""
    if Path(app.env.doc2path(name)).suffix == ".py":
        source[0] = script_page(source[0])


def setup(app):
    app.connect("source-read", read_script)
