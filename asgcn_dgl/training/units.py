"""Units of distances: what is known of a set, and how an error is written."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, isfinite, log10
from typing import Literal, NamedTuple, get_args

UnitName = Literal["m", "cm", "mm", "px", "none"]

#: Units that coordinates can have.
UNITS: tuple[UnitName, ...] = get_args(UnitName)

#: Sets and formats whose readers give meters, whatever their files hold.
METRIC_SETS = frozenset(
    (
        *("nw_ucla", "ntu60", "ntu120", "synthetic", "coordinated"),
        *("utkinect", "msr_action3d", "cmu", "h36m"),
    )
)

_MILLIMETERS = {"m": 1000.0, "cm": 10.0, "mm": 1.0}


class Unit(NamedTuple):
    """How distances are written: in ``name`` ('mm', 'px', or '' if unknown), times ``factor``."""

    name: str
    factor: float

    def text(self, distance: float, digits: int = 1) -> str:
        """Return a distance as it is written."""
        return f"{self.number(distance, digits)} {self.name}".rstrip()

    def number(self, distance: float, digits: int = 1) -> str:
        """Return a distance as it is written, without the unit's name."""
        if not self.name:
            return f"{distance:.4g}"
        return f"{self.factor * distance:.{digits}f}"

    def texts(self, distances: Iterable[float]) -> list[str]:
        """Return distances as they are written together: as many decimals, three digits at most.

        Examples
        --------
        >>> Unit("mm", 1000.0).texts([0.0495, 0.1579]), Unit("", 1.0).texts([8.597, 18.59])
        (['50 mm', '158 mm'], ['8.6', '18.6'])
        """
        values = [self.factor * distance for distance in distances]
        largest = max((value for value in values if isfinite(value)), default=0.0)
        decimals = max(0, 2 - floor(log10(largest))) if largest > 0 else 0
        return [f"{value:.{decimals}f} {self.name}".rstrip() for value in values]


def unit_of(data: str, num_dims: int, unit: UnitName | None = None) -> Unit:
    """Return how distances of a set's clips are written: in millimeters or pixels, if known.

    ``data`` names the set or format, ``num_dims`` is the coordinates of a joint (those of pictures
    have no length), ``unit`` that of the coordinates, if the user gives it.
    """
    if unit is None and num_dims == 3 and data in METRIC_SETS:
        unit = "m"
    if unit is None or unit == "none":
        return Unit("", 1.0)
    return Unit("px", 1.0) if unit == "px" else Unit("mm", _MILLIMETERS[unit])
