"""Actional-structural graph convolutions for skeletons (AS-GCN, Li et al., CVPR 2019) on DGL.

The rooms, from the one that imports nothing to the one that imports all:
``skeleton`` (what a body is and its graph), ``ops`` (how messages are summed), ``nn`` (layers),
``models``, ``data``, ``metrics``, ``training``, ``experiments``, ``viz`` and ``cli``.
"""

from __future__ import annotations

import os

# DGL asks for a backend, prints, and writes a file in the user's home unless this is set first.
os.environ.setdefault("DGLBACKEND", "pytorch")

__version__ = "0.1.0"
