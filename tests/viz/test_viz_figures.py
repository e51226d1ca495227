"""Figures: what is drawn is what was given, nothing global is touched, files are whole."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from asgcn_dgl import viz
from asgcn_dgl.skeleton import SkeletonLayout, get_layout, layout_names, structural_operators
from asgcn_dgl.viz.figure import TYPE_COLORS
from asgcn_dgl.viz.links import telling_joint

CHAIN = SkeletonLayout.from_bones(
    "chain", [("hip", "knee"), ("knee", "foot")], center="hip", pose=[[0, 2], [0, 1], [1, 0]]
)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def texts(fig):
    found = [text.get_text() for axis in fig.axes for text in axis.texts]
    return found + [axis.get_title() for axis in fig.axes]


def notes_of(fig):
    return " ".join(legend.get_title().get_text() for legend in fig.legends).replace("\n", " ")


def arcs(axis):
    return [patch for patch in axis.patches if isinstance(patch, FancyArrowPatch)]


def bones_drawn(axis):
    lines = [item for item in axis.collections if isinstance(item, LineCollection)]
    return [len(item.get_segments()) for item in lines]


@pytest.mark.parametrize(
    "name", ["ntu25", "openpose18", "coco17", "kinectv1_20", "h36m32", "hand21"]
)
def test_skeleton_of_every_layout(name, tmp_path):
    layout = get_layout(name)
    fig = viz.draw_skeleton(layout, names=True)
    assert bones_drawn(fig.axes[0]) == [len(layout.bones)]
    assert f"0 {layout.joints[0]}".replace("_", " ") in texts(fig)
    assert viz.save_figure(fig, tmp_path / f"{name}.png").stat().st_size > 5000


def test_skeleton_in_three_dimensions_and_misuse(rng):
    viz.draw_skeleton(CHAIN, rng.normal(size=(3, 3)), title="mine")
    with pytest.raises(ValueError, match=r"pose must be \(3, 2 or 3\) for layout 'chain'"):
        viz.draw_skeleton(CHAIN, rng.normal(size=(4, 3)))


@pytest.mark.parametrize("name", ["ntu25", "hand21"])
def test_structural_links_are_the_operators_rows(name):
    layout = get_layout(name)
    joint = 5
    fig = viz.draw_structural_links(layout, joint, max_hop=3)
    for hop, axis in enumerate(fig.axes, start=1):
        rows = [
            operator[[joint], :].toarray()[0]
            for etype, operator in structural_operators(layout, 3).items()
            if etype.endswith(f"_{hop}")
        ]
        senders = sum(np.count_nonzero(row) - bool(row[joint]) for row in rows)
        assert len(arcs(axis)) == senders


def test_panels_of_hops_without_links_are_left_out():
    fig = viz.draw_structural_links(CHAIN, "knee", max_hop=4)
    assert [axis.get_title() for axis in fig.axes] == ["1 hop"]
    assert "here none is longer than 1 hop of 4" in notes_of(fig)
    assert len(viz.draw_structural_links(CHAIN, "foot", max_hop=4).axes) == 2


def test_the_telling_joint_has_neighbors_in_both_directions():
    joints = [("hip", "knee"), ("knee", "foot"), ("foot", "toe"), ("hip", "head")]
    layout = SkeletonLayout.from_bones("leg", joints, center="hip")
    assert telling_joint(layout) == "knee"  # hears the hip, the foot and, two hops off, the toe


def test_actional_links_above_the_threshold():
    prob = np.zeros((3, 3))
    prob[0, 2], prob[2, 0], prob[1, 0], prob[1, 1] = 0.95, 0.92, 0.5, 1.0
    axis = viz.draw_actional_links(CHAIN, prob).axes[0]
    assert len(arcs(axis)) == 2
    widths = [arc.get_linewidth() for arc in arcs(axis)]
    assert widths == sorted(widths) and widths[0] < widths[1]
    only = viz.draw_actional_links(CHAIN, prob, joint="foot").axes[0]
    assert len(arcs(only)) == 1
    best = viz.draw_actional_links(CHAIN, prob, threshold=None, strongest=1).axes[0]
    assert len(arcs(best)) == 1


def test_panel_without_links_says_so_and_shows_the_strongest():
    prob = np.full((3, 3), 0.4)
    prob[0, 2] = 0.6
    fig = viz.draw_class_links(CHAIN, {"wave": prob}, fallback=2)
    assert len(arcs(fig.axes[0])) == 2
    assert all(arc.get_linestyle() != "-" for arc in arcs(fig.axes[0]))
    notes = [text.replace("\n", " ") for text in texts(fig)]
    assert "dashed: ≤ 0.60" in notes
    assert not arcs(viz.draw_class_links(CHAIN, {"wave": prob}, fallback=0).axes[0])


def test_title_says_what_is_drawn():
    weak, strong = np.full((3, 3), 0.07), np.full((3, 3), 0.95)

    def title(*probs):
        fig = viz.draw_class_links(CHAIN, {str(k): prob for k, prob in enumerate(probs)})
        return fig.get_suptitle().replace("\n", " ")

    assert title(weak) == "10 strongest A-links, none of a probability > 0.9"
    assert title(strong) == "A-links of probability > 0.9"
    assert title(strong, weak).endswith("> 0.9; dashed: the 10 strongest where there are none")
    kinds = viz.draw_link_kinds(CHAIN, "foot", weak).axes[2].get_title()
    assert kinds == "(c) A-links, all"
    kinds = viz.draw_link_kinds(CHAIN, "foot", weak, fallback=1).axes[2].get_title()
    assert kinds.replace("\n", " ") == "(c) A-links, the 1 strongest"


def test_panel_with_many_links_says_how_many_there_are():
    prob = np.linspace(0.91, 0.99, 9).reshape(3, 3)
    fig = viz.draw_class_links(CHAIN, {"wave": prob}, most=2)
    assert len(arcs(fig.axes[0])) == 2
    assert "2 of 6 links, 6 pairs" in texts(fig)
    assert "where there are more than 2, the strongest are drawn" in notes_of(fig)
    assert len(arcs(viz.draw_class_links(CHAIN, {"wave": prob}).axes[0])) == CHAIN.num_joints
    prob[0, 1] = 0.0
    assert "2 of 5 links, 6 pairs" in texts(viz.draw_class_links(CHAIN, {"wave": prob}, most=2))


def test_links_of_all_panels_have_one_scale_of_width():
    """A dashed link is thinner than every solid one."""
    weak, strong = np.full((3, 3), 0.89), np.full((3, 3), 0.92)
    first, second = viz.draw_class_links(CHAIN, {"wave": weak, "kick": strong}).axes
    widths = [{arc.get_linewidth() for arc in arcs(axis)} for axis in (first, second)]
    assert max(widths[0]) < min(widths[1])


def test_links_are_coloured_by_their_most_probable_type():
    prob = np.zeros((2, 3, 3))
    prob[:, 0, 1] = 0.3, 0.62
    prob[:, 2, 1] = 0.5, 0.45
    axis = viz.draw_class_links(CHAIN, {"wave": prob}).axes[0]
    colors = [to_hex(arc.get_edgecolor()) for arc in arcs(axis)]
    assert colors == [c.lower() for c in (TYPE_COLORS[1], TYPE_COLORS[0])]


def test_link_kinds_show_bones_hops_and_actions():
    prob = np.zeros((3, 3))
    prob[2, 0] = prob[0, 2] = 0.95
    fig = viz.draw_link_kinds(CHAIN, "foot", prob, max_hop=2)
    assert [len(arcs(axis)) for axis in fig.axes] == [1, 2, 1]
    rings = [axis.collections[2].get_edgecolor().tolist() for axis in fig.axes]
    assert rings[0] == rings[1] == rings[2]


def test_link_kinds_of_bones_only_are_shown_once():
    fig = viz.draw_link_kinds(CHAIN, "knee", np.full((3, 3), 0.3))
    titles = [axis.get_title().replace("\n", " ") for axis in fig.axes]
    assert titles == ["(a), (b) skeleton = S-links, 1 hop", "(c) A-links, all"]
    assert notes_of(fig).endswith("dashed: probability ≤ 0.9")
    assert "here up to 1 hop of 4" in notes_of(fig)
    further = viz.draw_link_kinds(CHAIN, "foot", np.full((3, 3), 0.3), max_hop=4)
    assert further.axes[1].get_title().replace("\n", " ") == "(b) S-links, up to 2 hops"


def test_legends_list_what_is_drawn():
    prob = np.zeros((3, 3, 3))
    prob[1, 0, 2] = 0.95
    fig = viz.draw_link_kinds(CHAIN, "foot", prob, max_hop=1)  # hears from nearer joints only
    root, *senders = legend_texts(fig)
    assert root.startswith("root") and [text.split(":")[0] for text in senders] == ["centripetal"]
    assert legend_texts(viz.draw_class_links(CHAIN, {"wave": prob})) == ["type 2"]


def test_arcs_lead_from_sender_to_receiver_and_are_smooth():
    prob = np.zeros((3, 3))
    prob[0, 2] = 0.95
    fig = viz.draw_actional_links(CHAIN, prob)
    fig.draw_without_rendering()
    (axis,) = fig.axes
    (arc,) = arcs(axis)
    points = arc.get_path().vertices
    foot, hip = CHAIN.pose[2], CHAIN.pose[0]
    assert np.linalg.norm(points[0] - foot) < np.linalg.norm(points[0] - hip)
    assert len(points) > 40 and "-|>" in str(type(arc.get_arrowstyle()).arrow)


def test_link_matrices_stand_by_body_part():
    layout = get_layout("ntu25")
    prob = np.zeros((2, 25, 25))
    hand, foot = layout.index("left_hand"), layout.index("right_foot")
    prob[0, hand, foot] = 0.7
    fig = viz.draw_link_matrices(layout, prob)
    any_type, first, second = (axis.images[0].get_array() for axis in fig.axes[:3])
    assert any_type.max() == first.max() == 0.7 and second.max() == 0
    order = [joint for joints in layout.parts.values() for joint in joints]
    assert first[order.index(hand), order.index(foot)] == 0.7
    assert len(viz.draw_link_matrices(CHAIN, np.zeros((3, 3))).axes) == 2
    bar = fig.axes[-1]
    assert [label.get_text() for label in bar.get_xticklabels()] == ["0", "0.35", "0.7"]
    assert bar.get_xlim() == pytest.approx((0, 0.7))


def test_link_matrices_name_each_body_once():
    prob = np.zeros((6, 6))
    prob[5, 0] = 0.9  # from the hip of the first to the foot of the second
    fig = viz.draw_link_matrices(CHAIN, prob)
    axis = fig.axes[0]
    assert axis.images[0].get_array()[5, 0] == 0.9
    bodies = [[label.get_text() for label in (*a.get_xticklabels(), *a.get_yticklabels())]
              for a in axis.child_axes]  # fmt: skip
    assert [[text for text in names if text.startswith("body")] for names in bodies] == [
        ["body 1", "body 2"]
    ] * 2
    thick = [line for line in axis.lines if line.get_linewidth() > 1]
    assert len(thick) == 2 and all(2.5 in np.ravel(line.get_data()) for line in thick)
    assert not viz.draw_link_matrices(CHAIN, prob[:3, :3]).axes[0].child_axes
    with pytest.raises(ValueError, match=r"prob must have shape \(6, 6\)"):
        viz.draw_link_matrices(CHAIN, np.zeros((7, 7)))


def test_class_links_have_a_panel_each(rng):
    probs = {name: rng.uniform(size=(3, 3)) for name in ("wave", "clap", "kick")}
    fig = viz.draw_class_links(CHAIN, probs, columns=2, poses={"clap": rng.normal(size=(3, 3))})
    titles = [axis.get_title() for axis in fig.axes]
    assert titles[:3] == ["wave", "clap", "kick"]


@pytest.mark.parametrize(
    ("prob", "message"),
    [
        (np.zeros((2, 2)), r"shape \(3, 3\)"),
        (np.full((3, 3), 1.5), "0..1"),
        (np.full((3, 3), np.nan), "0..1"),
        (np.full((2, 3, 3), 0.6), "0..1, summed over types"),
    ],
)
def test_bad_probabilities_are_refused(prob, message):
    with pytest.raises(ValueError, match=message):
        viz.draw_actional_links(CHAIN, prob)
    with pytest.raises(ValueError, match="at least one action"):
        viz.draw_class_links(CHAIN, {})


def test_confusion_writes_row_shares():
    fig = viz.draw_confusion([[8, 2, 0], [1, 9, 0], [0, 0, 0]], ["wave", "clap", "kick"])
    assert sorted(text.get_text() for text in fig.axes[0].texts) == ["10", "20", "80", "90"]
    assert fig.get_suptitle() == "85.0% of 20 clips recognized"
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == ["wave", "clap", "kick"]


def test_large_confusion_leaves_numbers_out(tmp_path):
    fig = viz.draw_confusion(np.eye(60), [f"action {index}" for index in range(60)])
    assert not fig.axes[0].texts
    viz.save_figure(fig, tmp_path / "large.png", dpi=50)


@pytest.mark.parametrize("counts", [np.zeros((2, 3)), np.zeros((3, 3)), [[1, -1], [0, 1]]])
def test_bad_counts_are_refused(counts):
    with pytest.raises(ValueError, match="counts must"):
        viz.draw_confusion(counts, ["wave", "clap"])


def test_prediction_panels_and_errors(rng):
    target = rng.normal(size=(10, 3, 3))
    future = target + np.array([3.0, 4.0, 0.0])
    mask = np.ones((10, 3), dtype=bool)
    mask[9] = False
    fig = viz.draw_prediction(CHAIN, future, target, mask=mask, last=target[0], frames=[2, 10])
    assert [axis.get_title() for axis in fig.axes] == ["last seen", "t + 2 frames", "t + 10 frames"]
    notes = notes_of(fig)
    assert "in the unit of the recordings" in notes
    assert "true joints that were not seen are left out" in notes
    assert [t.get_text() for axis in fig.axes for t in axis.texts] == ["error 5.00", "not seen"]
    assert bones_drawn(fig.axes[1]) == [2, 2]
    assert bones_drawn(fig.axes[2]) == [0, 2]


def test_errors_of_a_figure_have_as_many_decimals():
    target = np.zeros((3, 3, 2))
    future = target + np.array([6.9, 10.0, 13.62])[:, None, None] * [1, 0]
    fig = viz.draw_prediction(CHAIN, future, target, unit="mm")
    assert "recordings" not in notes_of(fig) and "left out" not in notes_of(fig)
    errors = [axis.texts[0].get_text() for axis in fig.axes]
    assert errors == ["error 6.9 mm", "error 10.0 mm", "error 13.6 mm"]
    still = viz.draw_prediction(CHAIN, target, target)
    assert still.axes[0].texts[0].get_text() == "error 0.00"


def test_prediction_misuse_is_named(rng):
    poses = rng.normal(size=(4, 3, 3))
    with pytest.raises(ValueError, match="one shape"):
        viz.draw_prediction(CHAIN, poses, poses[:2])
    with pytest.raises(ValueError, match="counted from 1"):
        viz.draw_prediction(CHAIN, poses, poses, frames=[0])
    with pytest.raises(ValueError, match="among the 4 frames"):
        viz.draw_prediction(CHAIN, poses, poses, frames=[5])


def test_strip_of_two_bodies_with_missing_joints(rng, tmp_path):
    poses = rng.normal(size=(2, 20, 3, 3))
    mask = np.ones((2, 20, 3), dtype=bool)
    mask[1] = False
    mask[0, 0, 2] = False
    fig = viz.draw_strip(CHAIN, poses, mask=mask, count=4, title="two")
    assert [axis.get_title() for axis in fig.axes] == [f"frame {n}" for n in (0, 6, 13, 19)]
    assert bones_drawn(fig.axes[0]) == [1, 0]
    assert bones_drawn(fig.axes[1]) == [2, 0]
    assert notes_of(fig).endswith("joints that were not seen are left out")
    viz.save_figure(fig, tmp_path / "strip.pdf")
    assert len(viz.draw_strip(CHAIN, poses[0, :2]).axes) == 2
    assert notes_of(viz.draw_strip(CHAIN, poses[0, :2])) == "each panel is centered on its bodies"
    mask[0, 0] = False
    first, second = viz.draw_strip(CHAIN, poses, mask=mask, count=2).axes
    assert [text.get_text() for text in first.texts] == ["not seen"] and not second.texts


def legend_texts(fig):
    return [text.get_text() for legend in fig.legends for text in legend.get_texts()]


def test_sides_and_bodies_are_told_by_a_legend(rng):
    layout = get_layout("coco17")
    poses = rng.normal(size=(3, 4, 17, 2))
    sides = ["left", "right", "neither"]
    assert legend_texts(viz.draw_strip(layout, poses[:1])) == sides
    fig = viz.draw_strip(layout, poses)
    assert legend_texts(fig) == [*(f"body 1: {side}" for side in sides), "body 2", "body 3"]
    lines = [line.get_color() for line in fig.legends[0].get_lines()]
    bones = [item for item in fig.axes[0].collections if isinstance(item, LineCollection)]
    drawn = [{to_hex(color) for color in item.get_colors()} for item in bones]
    assert {color.lower() for color in lines[:2]} <= drawn[0]
    assert drawn[1:] == [{color.lower()} for color in lines[3:]]
    for names in (True, False):
        named = legend_texts(viz.draw_skeleton(layout, names=names))
        assert named == [*sides, "center"]
    paired = SkeletonLayout.from_bones("pair", [("a", "b")], center="a", mirror=[("a", "b")])
    assert legend_texts(viz.draw_strip(paired, poses[:1, :, :2])) == ["left", "right"]
    assert legend_texts(viz.draw_skeleton(CHAIN)) == ["center"]


def test_strip_sees_two_persons_side_by_side(rng):
    # They stand behind one another as the sensor sees them.
    near = rng.normal(size=(6, 3, 3)) * 0.1
    fig = viz.draw_strip(CHAIN, np.stack([near, near + np.array([0.0, 0.0, 3.0])]), count=3)
    for axis in fig.axes:
        low, high = axis.get_xlim()
        assert high - low > 2.5
        assert len(axis.patches) == 1  # a frame: whose bodies are whose is told
    assert not viz.draw_strip(CHAIN, near).axes[0].patches


def test_strip_misuse_is_named(rng):
    with pytest.raises(ValueError, match="for layout 'chain'"):
        viz.draw_strip(CHAIN, rng.normal(size=(5, 4, 3)))
    with pytest.raises(ValueError, match="mask must have shape"):
        viz.draw_strip(CHAIN, rng.normal(size=(5, 3, 3)), mask=np.ones((4, 3)))
    with pytest.raises(ValueError, match="count must be at least 1"):
        viz.draw_strip(CHAIN, rng.normal(size=(5, 3, 3)), count=0)


def test_nothing_seen_still_draws(tmp_path):
    fig = viz.draw_strip(CHAIN, np.zeros((3, 3, 3)), mask=np.zeros((3, 3)))
    path = viz.save_figure(fig, tmp_path / "empty.png", dpi=40)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_projection_looks_from_the_sensor():
    # A body that faces a Kinect: its left at negative x (x grows to the sensor's left).
    left, right, head = [-0.3, 0.0, 2.0], [0.3, 0.0, 2.0], [0.0, 0.8, 2.0]
    points = viz.project(np.array([left, right, head]))
    assert points[0, 0] > points[2, 0] > points[1, 0]
    assert points[2, 1] > max(points[0, 1], points[1, 1])


@pytest.mark.parametrize("turn", np.linspace(0, 2 * np.pi, 7)[:-1])
def test_projection_shows_the_front(turn):
    # Right shoulder, left shoulder, head, nose; the body faces -z before it is turned.
    body = np.array([[0.3, 0.0, 0.0], [-0.3, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.4, -0.1]])
    cos, sin = np.cos(turn), np.sin(turn)
    body = body @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    points = viz.project(body, shoulders=(0, 1))
    assert points[1, 0] > points[2, 0] > points[0, 0]


def test_projection_from_behind_is_judged_by_what_was_seen():
    body = np.array([[0.3, 0.0, 0.0], [-0.3, 0.0, 0.0], [0.0, 0.5, 0.0]])
    clip = np.stack([body, body * [-1, 1, -1], body * [-1, 1, -1]])
    mask = np.ones((3, 3), dtype=bool)
    mask[1:, 0] = False
    points = viz.project(clip, mask, shoulders=(0, 1))
    assert points[0, 1, 0] > points[0, 0, 0]


@pytest.mark.parametrize("up", ["x", "y", "z", "-x", "-y", "-z"])
def test_projection_puts_the_named_axis_up(up, rng):
    pose = rng.normal(size=(9, 3)) * 0.1
    axis, sign = "xyz".index(up[-1]), -1 if up.startswith("-") else 1
    pose[0, axis] += 3 * sign
    points = viz.project(pose, up=up)
    assert points[:, 1].argmax() == 0


def test_projection_never_mirrors(rng):
    """Turning the coordinates so that another axis points up leaves the picture as it was."""
    pose = rng.normal(size=(6, 3))
    expected = viz.project(pose)
    np.testing.assert_allclose(viz.project(np.roll(pose, 1, axis=-1), up="z"), expected)
    np.testing.assert_allclose(viz.project(np.roll(pose, -1, axis=-1), up="x"), expected)
    np.testing.assert_allclose(viz.project(pose * [-1, -1, 1], up="-y"), expected)


def test_projection_ignores_what_was_not_seen(rng):
    pose = rng.normal(size=(4, 6, 3))
    mask = np.ones((4, 6), dtype=bool)
    mask[:, 5] = False
    changed = pose.copy()
    changed[:, 5] = 1e6
    np.testing.assert_allclose(
        viz.project(pose, mask)[:, :5], viz.project(changed, mask)[:, :5], atol=1e-9
    )
    assert viz.project(pose[..., :2]).shape == (4, 6, 2)


@pytest.mark.parametrize(("pose", "up"), [(np.zeros((3, 4)), "y"), (np.zeros((3, 3)), "w")])
def test_projection_misuse_is_named(pose, up):
    with pytest.raises(ValueError, match="must be"):
        viz.project(pose, up=up)


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_saving_is_whole_and_makes_its_folder(tmp_path, suffix):
    path = viz.save_figure(viz.draw_skeleton(CHAIN), tmp_path / "new" / f"figure.{suffix}")
    assert path.stat().st_size > 500
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_saving_keeps_the_old_file_on_failure(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")

    def refuse(*args, **kwargs):
        raise OSError("no")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(OSError, match="no"):
        viz.save_figure(viz.draw_skeleton(CHAIN), path)
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["figure.png"]


def test_saving_other_formats_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"path must end in .png, .pdf, .svg"):
        viz.save_figure(viz.draw_skeleton(CHAIN), tmp_path / "figure.txt")
    assert not list(tmp_path.iterdir())


def test_same_figure_gives_same_bytes(tmp_path):
    one = viz.save_figure(viz.draw_skeleton(CHAIN), tmp_path / "one.png").read_bytes()
    assert one == viz.save_figure(viz.draw_skeleton(CHAIN), tmp_path / "two.png").read_bytes()


def test_a_layout_of_ones_own_draws_without_a_pose():
    layout = SkeletonLayout.from_bones("dog", [(0, 1), (1, 2), (1, 3), (0, 4)])
    assert isinstance(viz.draw_skeleton(layout), Figure)
    assert "dog" not in layout_names()


def test_pyplot_is_not_imported():
    code = (
        "import sys; from asgcn_dgl import viz; from asgcn_dgl.skeleton import get_layout;"
        "viz.draw_skeleton(get_layout('ntu25')); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_joints_of_an_own_layout_are_numbered_and_listed():
    probs = {"wave": np.full((2, 3, 3), 0.3), "clap": np.full((2, 3, 3), 0.4)}
    for fig in (
        viz.draw_class_links(CHAIN, probs, names=True),
        viz.draw_structural_links(CHAIN, "foot", 2, names=True),
        viz.draw_link_kinds(CHAIN, "foot", probs["wave"], 2, names=True),
        viz.draw_actional_links(CHAIN, probs["wave"], names=True),
    ):
        for axis in fig.axes:
            assert [t.get_text() for t in axis.texts if t.get_text().isdigit()] == ["0", "1", "2"]
        listed, note = fig.legends[0].get_title().get_text().replace("\xa0", " ").split("\n", 1)
        assert listed.split("   ") == ["0 hip", "1 knee", "2 foot"]
        assert note.startswith("arrows: from sender to receiver; width: ")


def test_numbers_of_joints_are_clear_of_joints_links_and_each_other():
    """Two paws beside each other, and links that bend past joints, leave their numbers legible."""
    pose = [(0, 0), (4, 0.5), (4.2, -1), (4.3, -1), (0, -1)]
    bones = [(0, 1), (1, 2), (1, 3), (0, 4)]
    layout = SkeletonLayout.from_bones("mouse", bones, pose=pose)
    prob = np.zeros((5, 5))
    prob[0, 2] = prob[4, 3] = prob[1, 4] = 0.95
    fig = viz.draw_actional_links(layout, prob, names=True)
    fig.draw_without_rendering()
    axis = fig.axes[0]
    numbers = [text for text in axis.texts if text.get_text().isdigit()]
    scale = 72 / fig.dpi
    middles = [scale * np.mean(text.get_window_extent().get_points(), axis=0) for text in numbers]
    joints = scale * axis.transData.transform(layout.pose)
    curves = [arc.get_path().to_polygons(closed_only=False)[0] for arc in arcs(axis)]
    links = [scale * axis.transData.transform(curve) for curve in curves]
    for k, middle in enumerate(middles):
        others = [place for n, place in enumerate(middles) if n != k]
        assert min(np.linalg.norm(middle - other) for other in others) > 6
        assert np.linalg.norm(joints - middle, axis=1).min() > 4
        assert all(np.linalg.norm(link - middle, axis=1).min() > 3 for link in links)


@pytest.mark.parametrize("name", ["ntu25", "wholebody133", "hand21"])
@pytest.mark.parametrize("width", [6.9, 3.35])
def test_names_of_joints_stand_apart_and_inside(name, width):
    fig = viz.draw_skeleton(get_layout(name), names=True, page_width=width)
    fig.draw_without_rendering()
    boxes = [text.get_window_extent() for text in fig.axes[0].texts]
    assert len(boxes) == get_layout(name).num_joints
    for number, a in enumerate(boxes):
        assert a.x0 >= 0 and a.x1 <= fig.bbox.x1 and a.y0 >= -2 and a.y1 <= fig.bbox.y1 + 2
        assert not any(min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and
                       min(a.y1, b.y1) - max(a.y0, b.y0) > 2 for b in boxes[:number])  # fmt: skip


def test_a_body_between_long_names_stays_legible_in_a_column():
    """A long body and long names do not fit beside each other: numbers are drawn, names listed."""
    names = [f"a joint of a rather long name {k}" for k in range(6)]
    layout = SkeletonLayout.from_bones(
        "worm", list(pairwise(names)), pose=[(k, 0.1) for k in range(6)]
    )
    fig = viz.draw_skeleton(layout, names=True, page_width=3.35)
    fig.draw_without_rendering()
    listed = fig.legends[0].get_title().get_text().replace("\xa0", " ")
    assert all(name in listed for name in names)
    places = fig.axes[0].transData.transform(layout.pose)
    assert np.ptp(places[:, 0]) > 0.5 * fig.bbox.width


def test_nothing_is_clipped_at_the_edges_of_panels():
    """Links bend and circles reach out of their panel, and stay inside the figure."""
    layout = get_layout("ntu25")
    prob = np.zeros((25, 25))
    prob[layout.index("left_foot"), layout.index("head")] = 0.95
    prob[layout.index("right_hand_tip"), layout.index("right_foot")] = 0.95
    response = viz.Response("wave", None, np.ones(25))
    for fig in (
        viz.draw_actional_links(layout, prob, page_width=3.35),
        viz.draw_responses(layout, {"": [response] * 5}, page_width=3.35),
    ):
        fig.draw_without_rendering()
        for axis in fig.axes or fig.subfigs[0].axes:
            for item in (*axis.patches, *axis.collections):
                box = item.get_window_extent()
                assert not item.get_clip_on()
                assert box.x0 > -3 and box.x1 < fig.bbox.x1 + 3 and box.y0 > -3


@pytest.mark.parametrize("name", ["S001C003P009R001A012", "MMMMM WWWWW MMMMM", "a little girl"])
def test_titles_are_not_cut(name):
    response = viz.Response("wave", None, np.ones(3))
    title = f"Mean responses: push ({name}), body 2 of 2"
    fig = viz.draw_responses(CHAIN, {f"(a) {title}": [response, response]}, title=title)
    fig.draw_without_rendering()
    for part in (fig, *fig.subfigs):
        box = part._suptitle.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= fig.bbox.x1


def test_a_strip_goes_along_with_a_body(rng):
    """However far it walks, poses keep their size."""
    poses = CHAIN.pose[None] + 0.01 * rng.normal(size=(8, 3, 2))
    still = viz.draw_strip(CHAIN, poses)
    walking = viz.draw_strip(CHAIN, poses + np.linspace(0, 50, 8)[:, None, None] * [1, 0])
    for a, b in zip(still.axes, walking.axes, strict=True):
        assert np.ptp(b.get_xlim()) == pytest.approx(np.ptp(a.get_xlim()), rel=0.01)
    last = walking.axes[-1].get_xlim()
    assert last[0] < 50 < last[1]


def test_pictures_whose_y_points_down_are_turned_over():
    down = CHAIN.pose * [1, -1]
    up, turned = viz.draw_strip(CHAIN, CHAIN.pose[None]), viz.draw_strip(CHAIN, down[None], up="-y")
    for fig in (up, turned):
        (bones,) = (c for c in fig.axes[0].collections if isinstance(c, LineCollection))
        assert bones.get_segments()[0][0, 1] == 2
    with pytest.raises(ValueError, match="up must be one of y, -y, got 'z'"):
        viz.draw_strip(CHAIN, down[None], up="z")
