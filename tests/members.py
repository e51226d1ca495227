"""Splits by the names of their recordings, as tests read them best."""

from __future__ import annotations

from asgcn_dgl.data import Reader


def members(reader: Reader, split: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the recordings that train and that test."""
    chosen = reader.splits[split]
    train, test = (
        [reader.names[number] for number in part] for part in (chosen.train, chosen.test)
    )
    return tuple(train), tuple(test)
