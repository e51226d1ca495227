from __future__ import annotations

import pytest

from asgcn_dgl.training.units import METRIC_SETS, UNITS, Unit, unit_of


@pytest.mark.parametrize("data", sorted(METRIC_SETS))
def test_sets_in_metres_are_told_in_millimetres(data):
    assert unit_of(data, 3).text(0.05) == "50.0 mm"


@pytest.mark.parametrize(("told", "distance"), [("m", 0.05), ("cm", 5.0), ("mm", 50.0)])
def test_units_that_are_told(told, distance):
    assert unit_of("own", 3, told).text(distance) == "50.0 mm"


def test_unknown_units_are_not_made_up():
    assert unit_of("own", 3) == unit_of("kinetics", 2) == unit_of("cmu", 3, "none") == Unit("", 1.0)
    assert unit_of("own", 3).text(0.123456) == "0.1235"
    assert unit_of("own", 2, "px").text(12.34) == "12.3 px"
    assert set(UNITS) == {"m", "cm", "mm", "px", "none"}


def test_names_are_those_of_sets_and_formats():
    from asgcn_dgl.data import FORMATS

    assert set(FORMATS) >= METRIC_SETS
