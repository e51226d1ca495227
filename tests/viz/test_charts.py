from __future__ import annotations

import numpy as np
import pytest

from asgcn_dgl import viz
from asgcn_dgl.skeleton import get_layout

LAYOUT = get_layout("coco17")


def test_classes_stand_by_accuracy_and_those_without_clips_are_left_out():
    fig = viz.draw_class_accuracy(
        [50.0, np.nan, 90.0], ["wave", "clap", "kick"], baseline=[60.0, np.nan, 10.0]
    )
    axis = fig.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["wave", "kick"]
    assert [bar.get_width() for bar in axis.patches] == [50.0, 90.0]
    assert axis.collections[0].get_offsets()[:, 0].tolist() == [60.0, 10.0]
    with pytest.raises(ValueError, match="baseline must hold one number for each of 2 classes"):
        viz.draw_class_accuracy([1.0, 2.0], ["a", "b"], baseline=[1.0])


def test_curves_are_what_the_history_holds():
    history = {
        "aim": {"train/loss": {1: 5.0, 2: 4.0}},
        "joint": {"train/top1": {2: 30.0, 1: 10.0}, "val/top1": {2: 25.0}, "lr": {1: 0.1}},
    }
    fig = viz.draw_curves(history)
    assert [axis.get_title() for axis in fig.axes] == ["A-link inference: loss", "top-1 (%)"]
    lines = {line.get_label(): line.get_xydata().tolist() for line in fig.axes[1].lines}
    assert lines == {"train": [[1, 10], [2, 30]], "validation": [[2, 25]]}
    for nothing in ({}, {"joint": {"lr": {1: 0.1}}}):
        with pytest.raises(ValueError, match="at least one epoch"):
            viz.draw_curves(nothing)


def test_responses_are_circles_whose_area_is_the_magnitude():
    response = np.linspace(0, 2, 17)
    rows = {
        "a": [viz.Response("first", None, response), viz.Response("half", None, response / 2)],
        "b": [viz.Response("own", np.asarray(LAYOUT.pose), response / 2, scale=1.0)],
    }
    fig = viz.draw_responses(LAYOUT, rows, title="title")
    first, second = fig.subfigs
    areas = [
        [float(size) for size in axis.collections[-1].get_sizes()]
        for axis in (*first.axes[:2], second.axes[0])
    ]
    assert areas[0] == pytest.approx([area for area in areas[2]])
    assert areas[1] == pytest.approx([area / 2 for area in areas[0]])
    assert areas[0] == pytest.approx([area * areas[0][-1] / 2 for area in response])


def test_joints_that_were_not_seen_have_no_circle():
    pose = np.asarray(LAYOUT.pose, dtype=float).copy()
    pose[3] = np.nan
    fig = viz.draw_responses(LAYOUT, {"": [viz.Response("wave", pose, np.ones(17))]})
    assert len(fig.subfigs[0].axes[0].collections[-1].get_offsets()) == 16


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({}, "at least one body"),
        ({"a": []}, "at least one body"),
        ({"a": [viz.Response("x", None, np.ones(16))]}, r"response must have shape \(17,\)"),
        ({"a": [viz.Response("x", None, -np.ones(17))]}, "must not be negative"),
    ],
)
def test_bad_responses_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        viz.draw_responses(LAYOUT, rows)
