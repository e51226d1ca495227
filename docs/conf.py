import sys
from pathlib import Path

import asgcn_dgl

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

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
    "results",  # docs/_ext/results.py
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"asgcn_dgl {release}"

myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say types and shapes
napoleon_google_docstring = False
napoleon_use_ivar = True  # else the fields of named tuples are described twice
napoleon_use_rtype = False
