"""The one place where DGL is imported, with an error that says what runs without it."""

from __future__ import annotations

import os

os.environ.setdefault("DGLBACKEND", "pytorch")

try:
    import dgl
except Exception as error:
    # Whatever a mismatched wheel raises (FileNotFoundError, OSError, ModuleNotFoundError, ...).
    raise ImportError(
        f"DGL cannot be imported ({type(error).__name__}: {error}). DGL graphs need it; everything "
        "else of asgcn_dgl runs without: use GraphBuilder.structure in the place of "
        "GraphBuilder.batch. Tried are dgl 1.1.3 with torch 2.13.0 (Python up to 3.11: pip install "
        "'dgl>=1.1.3,<2'), and dgl 2.1.0 with torch 2.2.1, torchdata 0.7.1, numpy<2, pandas and "
        "pydantic."
    ) from error

__all__ = ["dgl"]
