"""What the tables compare: grids of options, and the paper's figures. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args

from asgcn_dgl.training.config import RunConfig

TableName = Literal["links", "types", "prior", "prediction", "comparison", "folds"]
TABLE_NAMES: tuple[TableName, ...] = get_args(TableName)


@dataclass(frozen=True)
class Cell:
    """One setting: the folder ``name`` of its runs, and what differs from the configuration."""

    name: str
    options: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Grid:
    """A table: each row is a label and, for every further column of ``head``, a cell or None.

    ``paper`` has the paper's figures in the same form, on NTU RGB+D 60, cross-subject;
    ``published`` those of the literature on the same set (see :func:`published`), by the
    ``protocols`` of a row's cells. With ``top5`` a cell has two columns; with ``folds`` the rows
    are folds, whose mean counts.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell | None]]]
    paper: Sequence[Sequence[float | None]] = ()
    note: str = ""
    top5: bool = False
    published: Mapping[str, Mapping[str, Any]] | None = None
    protocols: Sequence[str] = ()
    folds: bool = False

    def cells(self) -> list[Cell]:
        """Return each setting once, in reading order."""
        return list({cell.name: cell for _, row in self.rows for cell in row if cell}.values())


@cache
def _declared() -> dict[str, Any]:
    import yaml  # not before the command has said which extra is missing

    file = resources.files("asgcn_dgl.experiments").joinpath("tables.yaml")
    return dict(yaml.safe_load(file.read_text(encoding="utf-8")))


def published(data: str) -> Mapping[str, Mapping[str, float | list[float]]]:
    """Return published accuracies on a set by method and protocol: top-1, or top-1 and top-5."""
    return _declared()["published"].get(data, {})


def grid(
    table: str, config: RunConfig, default_protocol: str, splits: Collection[str] = ()
) -> Grid:
    """Return the settings that a table of ``TABLE_NAMES`` compares.

    What a table does not vary is from ``config``; ``splits`` are all of the set, of which ``folds``
    takes those of one kind. ValueError for an unknown table or fewer than two folds.
    """
    if table not in TABLE_NAMES:
        raise ValueError(f"table must be one of {', '.join(TABLE_NAMES)}, got {table!r}")
    usual = config.clips.protocol or default_protocol
    if table == "folds":
        return _folds(usual, splits)
    if table == "comparison":
        return _comparison(config, usual)
    facts = dict(_declared()["tables"][table])
    rows = [
        (label, [None if cell is None else _cell(config, **cell) for cell in row])
        for label, row in facts.pop("rows").items()
    ]
    title = facts.pop("title").format(hops=config.model.max_hop or 4)
    return Grid(title, rows=rows, **facts)


def _cell(
    config: RunConfig,
    hops: int | None = None,
    types: int | None = None,
    prior: float | None = None,
    predict: bool = True,
) -> Cell:
    """Return a setting of AS-GCN; ``types=0`` for S-links only."""
    model = config.model
    hops = hops or model.max_hop or 4
    types = model.num_actional or 3 if types is None else types
    usual = 0.95 if model.ghost_prior is None else model.ghost_prior
    prior = usual if prior is None else prior
    name = f"as_l{hops}_c{types}_p{prior:g}" if types else f"s_l{hops}"
    options = {
        "max_hop": hops,
        "num_actional": types,
        "ghost_prior": prior,
        "future_frames": (model.future_frames or 10) if predict else 0,
    }
    return Cell(name + ("_predict" if predict else ""), {"model": options})


def _comparison(config: RunConfig, usual: str) -> Grid:
    protocols: tuple[str, ...] = (usual,)
    if config.data == "ntu60" and config.clips.protocol is None:
        protocols = ("xsub", "xview")
    baseline = {"name": "stgcn", "max_hop": 1, "num_actional": 0, "future_frames": 0}
    settings = {"ST-GCN, ours": Cell("stgcn", {"model": baseline}), "AS-GCN, ours": _cell(config)}

    def under(cell: Cell, protocol: str) -> Cell:  # the usual one changes no name
        options = {**cell.options, "clips": {"protocol": protocol}}
        return cell if protocol == usual else Cell(f"{cell.name}_{protocol}", options)

    return Grid(
        "Tables 4 and 5: recognition beside published figures",
        ("method", *(f"{top} {name}".strip() for name in protocols for top in ("top-1", "top-5"))),
        [(title, [under(cell, name) for name in protocols]) for title, cell in settings.items()],
        top5=True,
        published=published(config.data),
        protocols=protocols,
        note="Published figures are the papers' own; many are of the best test epoch.",
    )


def _folds(protocol: str, splits: Collection[str]) -> Grid:
    """Return the configuration as it is on each split of one kind: ``five_1``, ``five_2``, ..."""
    kind = protocol.split("_")[0]
    folds = [name for name in splits if name.split("_")[0] == kind]
    if len(folds) < 2:
        raise ValueError(
            f"table folds needs several splits whose names begin alike, and the set has "
            f"{', '.join(splits) or 'none'}; choose their kind by clips.protocol"
        )
    return Grid(
        f"Recognition on each of the {len(folds)} splits '{kind}'",
        ("split", "top-1 %"),
        [(name, [Cell(name, {"clips": {"protocol": name}})]) for name in folds],
        folds=True,
    )
