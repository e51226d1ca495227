"""What the tables compare: grids of options, and the paper's figures. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from asgcn_dgl.training.config import RunConfig

__all__ = ["TABLE_NAMES", "Cell", "Grid", "Published", "TableName", "grid"]

TableName = Literal["links", "types", "prior", "prediction", "comparison", "folds"]
TABLE_NAMES: tuple[TableName, ...] = get_args(TableName)
ORDERS = (1, 2, 3, 4)
TYPES = (1, 2, 3, 4, 5)
PRIORS = (0.99, 0.95, 0.5, 0.2, 0.0)


@dataclass(frozen=True)
class Cell:
    """One setting: the folder ``name`` of its runs, and what differs from the configuration."""

    name: str
    options: Mapping[str, Mapping[str, Any]]


class Published(NamedTuple):
    """A method's accuracies in percent: protocol to (top-1, top-5 or None)."""

    method: str
    figures: Mapping[str, tuple[float, float | None]]


@dataclass(frozen=True)
class Grid:
    """A table: each row is a label and, for every further column of ``head``, a cell or None.

    ``paper`` has the paper's figures in the same form, on NTU RGB+D 60, cross-subject;
    ``published`` those of the literature on the same set, by the ``protocols`` of a row's cells.
    With ``top5`` a cell has two columns; with ``folds`` the rows are folds, whose mean counts.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell | None]]]
    paper: Sequence[Sequence[float | None]] = ()
    note: str = ""
    top5: bool = False
    published: Sequence[Published] = ()
    protocols: Sequence[str] = ()
    folds: bool = False

    def cells(self) -> list[Cell]:
        """Return each setting once, in reading order."""
        found = {cell.name: cell for _, row in self.rows for cell in row if cell is not None}
        return list(found.values())


def grid(
    table: str, config: RunConfig, default_protocol: str, splits: Collection[str] = ()
) -> Grid:
    """Return the settings that a table of :data:`TABLE_NAMES` compares.

    What a table does not vary is from ``config``; ``splits`` are all of the set, of which ``folds``
    takes those of one kind. ValueError for an unknown table or fewer than two folds.

    Examples
    --------
    >>> made = grid("prior", RunConfig(), "xsub")
    >>> [cell.name for cell in made.cells()][:2]
    ['as_l4_c3_p0.99_predict', 'as_l4_c3_p0.95_predict']
    """
    if table not in TABLE_NAMES:
        raise ValueError(f"table must be one of {', '.join(TABLE_NAMES)}, got {table!r}")
    base = _Base(config)
    if table == "links":
        return _links(base)
    if table == "types":
        return Grid(
            f"Table 2 (C): recognition with different numbers of types of A-links, L = {base.hops}",
            ("C", *map(str, TYPES)),
            [("top-1 %", [base.cell(types=types) for types in TYPES])],
            paper=[(84.6, 86.5, 86.8, 85.8, 83.3)],
        )
    if table == "prior":
        return Grid(
            f"Table 2 (P0): recognition with different priors of the ghost link, L = {base.hops}",
            ("P0", *(f"{prior:.2f}" for prior in PRIORS)),
            [("top-1 %", [base.cell(prior=prior) for prior in PRIORS])],
            paper=[(86.0, 86.8, 84.3, 82.7, 81.1)],
            note="P0 = 0: there is no ghost type, every two joints are linked.",
        )
    if table == "prediction":
        return _prediction(base)
    if table == "folds":
        return _folds(config.clips.protocol or default_protocol, splits)
    return _comparison(base, config, default_protocol)


class _Base:
    """The settings that a table does not vary."""

    def __init__(self, config: RunConfig) -> None:
        model = config.model
        self.hops = model.max_hop or 4
        self.types = model.num_actional or 3
        self.prior = 0.95 if model.ghost_prior is None else model.ghost_prior
        self.future = model.future_frames or 10

    def cell(
        self,
        hops: int | None = None,
        types: int | None = None,
        prior: float | None = None,
        predict: bool = True,
    ) -> Cell:
        """Return a setting of AS-GCN; ``types=0`` for S-links only."""
        hops = self.hops if hops is None else hops
        types = self.types if types is None else types
        prior = self.prior if prior is None else prior
        name = f"as_l{hops}_c{types}_p{prior:g}" if types else f"s_l{hops}"
        options = {
            "max_hop": hops,
            "num_actional": types,
            "ghost_prior": prior,
            "future_frames": self.future if predict else 0,
        }
        return Cell(name + ("_predict" if predict else ""), {"model": options})


def _links(base: _Base) -> Grid:
    rows: list[tuple[str, Sequence[Cell | None]]] = []
    for hops in ORDERS:
        both = base.cell(hops, predict=False)
        rows.append(
            (str(hops), [base.cell(hops, 0, predict=False), both if hops == 1 else None, both])
        )
    return Grid(
        "Table 1: recognition with S-links, A-links and both, without prediction head",
        ("order", "S-links", "A-links", "AS-links"),
        rows,
        paper=[
            (81.5, 83.2, 83.2),
            (82.2, None, 83.7),
            (83.4, None, 84.4),
            (84.2, None, 86.1),
        ],
        note="A-links alone have the bones themselves beside them: AS-links of order 1.",
    )


def _prediction(base: _Base) -> Grid:
    rows: list[tuple[str, Sequence[Cell | None]]] = []
    for label, types in (("S-links", 0), ("AS-links", base.types)):
        for hops in ORDERS:
            cells = [base.cell(hops, types, predict=predict) for predict in (False, True)]
            rows.append((f"{label}, order {hops}", cells))
    with_links = [(83.2, 84.0), (83.7, 84.3), (84.4, 85.1), (86.1, 86.8)]
    without = [(81.5, None), (82.2, None), (83.4, None), (84.2, None)]
    return Grid(
        "Table 3: recognition without and with the prediction head",
        ("links", "recognition", "+ prediction"),
        rows,
        paper=[*without, *with_links],
    )


# The paper's Tables 4 and 5; for NW-UCLA the methods' own papers.
_NTU60 = (
    ("Lie Group", 50.1, 52.8),
    ("H-RNN", 59.1, 64.0),
    ("Deep LSTM", 60.7, 67.3),
    ("PA-LSTM", 62.9, 70.3),
    ("ST-LSTM+TS", 69.2, 77.7),
    ("Temporal Conv", 74.3, 83.1),
    ("Visualize CNN", 76.0, 82.6),
    ("C-CNN+MTLN", 79.6, 84.8),
    ("ST-GCN", 81.5, 88.3),
    ("DPRL", 83.5, 89.8),
    ("SR-TSL", 84.8, 92.4),
    ("HCN", 86.5, 91.1),
    ("AS-GCN", 86.8, 94.2),
)
_KINETICS = (
    ("Feature Enc", 14.9, 25.8),
    ("Deep LSTM", 16.4, 35.3),
    ("Temporal Conv", 20.3, 40.0),
    ("ST-GCN", 30.7, 52.8),
    ("AS-GCN", 34.8, 56.5),
)
_NW_UCLA = (
    ("HBRNN-L", 78.5),
    ("TS-LSTM", 89.2),
    ("AGC-LSTM", 93.3),
    ("Shift-GCN, 4 streams", 94.6),
    ("DC-GCN+ADG", 95.3),
    ("CTR-GCN, 4 streams", 96.5),
    ("InfoGCN", 97.0),
    ("HD-GCN", 97.2),
    ("SkateFormer", 98.3),
)
PUBLISHED: Mapping[str, Sequence[Published]] = {
    "ntu60": [
        Published(name, {"xsub": (sub, None), "xview": (view, None)}) for name, sub, view in _NTU60
    ],
    "kinetics": [Published(name, {"": (top1, top5)}) for name, top1, top5 in _KINETICS],
    "nw_ucla": [Published(name, {"xview": (top1, None)}) for name, top1 in _NW_UCLA],
}
_PAPERS_PROTOCOLS = {"ntu60": ("xsub", "xview")}


def _comparison(base: _Base, config: RunConfig, default_protocol: str) -> Grid:
    protocols = _PAPERS_PROTOCOLS.get(config.data, (default_protocol,))
    if config.clips.protocol is not None:
        protocols = (config.clips.protocol,)
    baseline = {"name": "stgcn", "max_hop": 1, "num_actional": 0, "future_frames": 0}
    settings = (
        ("ST-GCN, ours", Cell("stgcn", {"model": baseline})),
        ("AS-GCN, ours", base.cell()),
    )
    usual = config.clips.protocol or default_protocol
    rows = [
        (title, [_under(cell, protocol, usual) for protocol in protocols])
        for title, cell in settings
    ]
    head = [f"{top} {name}".strip() for name in protocols for top in ("top-1", "top-5")]
    return Grid(
        "Tables 4 and 5: recognition beside published figures",
        ("method", *head),
        rows,
        top5=True,
        published=PUBLISHED.get(config.data, ()),
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
    cells = [Cell(name, {"clips": {"protocol": name}}) for name in folds]
    return Grid(
        f"Recognition on each of the {len(folds)} splits '{kind}'",
        ("split", "top-1 %"),
        [(cell.name, [cell]) for cell in cells],
        folds=True,
    )


def _under(cell: Cell, protocol: str, usual: str) -> Cell:
    """Return a setting under a protocol; the usual one changes no name."""
    if protocol == usual:
        return cell
    return Cell(f"{cell.name}_{protocol}", {**cell.options, "clips": {"protocol": protocol}})
