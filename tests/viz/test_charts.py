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
    assert [text.get_text() for text in axis.texts] == ["50", "90", "60", "10"]
    assert "sorted" in axis.get_xlabel()
    assert axis.collections[0].get_offsets()[:, 0].tolist() == [60.0, 10.0]
    with pytest.raises(ValueError, match="baseline must hold one number for each of 2 classes"):
        viz.draw_class_accuracy([1.0, 2.0], ["a", "b"], baseline=[1.0])


def test_curves_are_what_the_history_holds():
    history = {
        "aim": {"train/reconstruction": {1: 5.0, 2: 4.0}},
        "joint": {"train/top1": {2: 30.0, 1: 10.0}, "val/top1": {2: 25.0}, "lr": {1: 0.1}},
    }
    fig = viz.draw_curves(history)
    titles = [axis.get_title() for axis in fig.axes]
    assert titles == ["A-link inference: reconstruction loss", "top-1 (%)"]
    lines = {line.get_label(): line.get_xydata().tolist() for line in fig.axes[1].lines}
    assert lines == {"train": [[1, 10], [2, 30]], "validation": [[2, 25]]}
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["train", "validation"]
    assert all(axis.get_xlim()[0] > 0 for axis in fig.axes)
    for nothing in ({}, {"joint": {"lr": {1: 0.1}}}):
        with pytest.raises(ValueError, match="at least one epoch"):
            viz.draw_curves(nothing)


def test_errors_by_time_ahead():
    curves = {"forecast": [5.0, 9.0], "last pose repeated": [9.0, 17.0]}
    (axis,) = viz.draw_errors([40, 80], curves, unit="mm").axes
    assert {line.get_label(): line.get_ydata().tolist() for line in axis.lines} == curves
    assert axis.get_ylabel() == "error (mm)"
    with pytest.raises(ValueError, match="at least one curve"):
        viz.draw_errors([40, 80], {})
    with pytest.raises(ValueError, match="curves must be of 2 values, got 1 of forecast"):
        viz.draw_errors([40, 80], {"forecast": [5.0]})


def test_errors_of_curves_are_scaled_to_a_unit():
    history = {"joint": {"val/mpjpe": {1: 0.5}, "val/loss": {1: 2.0}}}
    loss, error = viz.draw_curves(history, unit="mm", scale=1000.0).axes
    assert error.get_title() == "prediction error (mm)"
    assert error.lines[0].get_ydata().tolist() == [500.0]
    assert loss.lines[0].get_ydata().tolist() == [2.0]
    assert "model's" in viz.draw_curves(history).axes[1].get_title()


def test_responses_are_circles_whose_area_is_the_magnitude():
    response = np.linspace(0, 2, 17)
    rows = {
        "a": [viz.Response("first", None, response), viz.Response("half", None, response / 2)],
        "b": [viz.Response("own", np.asarray(LAYOUT.pose), response / 2, scale=1.0)],
    }
    fig = viz.draw_responses(LAYOUT, rows, title="title")
    note = fig.legends[0].get_title().get_text().replace("\n", " ")
    assert note.startswith("circle area: magnitude of the joint's features")
    assert "; one scale in row 1, one scale in row 2; " in note
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
    assert "joints that were not seen are left out" in (
        fig.legends[0].get_title().get_text().replace("\n", " ")
    )
    own = [viz.Response("wave", None, np.ones(17), scale=scale) for scale in (1.0, 2.0)]
    note = viz.draw_responses(LAYOUT, {"": own}).legends[0].get_title().get_text()
    assert "; one scale per body; " in note.replace("\n", " ")


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
