from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from fuzz import check_reader
from hypothesis import given, settings
from hypothesis import strategies as st
from members import members

from asgcn_dgl.data import prepare
from asgcn_dgl.data.formats.kinetics import open_kinetics, read_kinetics
from asgcn_dgl.errors import InputError
from asgcn_dgl.training.predict import read_clips


def body(seed=0, sure=0.5):
    rng = np.random.default_rng(seed)
    return {"pose": rng.uniform(0.1, 0.9, 36).round(3).tolist(), "score": [sure] * 18}


def content(frames, label="run", index=1):
    data = [{"frame_index": n, "skeleton": people} for n, people in frames]
    return {"data": data, "label": label, "label_index": index}


@pytest.fixture
def save(tmp_path):
    def save(value, name="clip"):
        path = tmp_path / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    return save


def test_a_clip(save):
    one, two = body(0), body(1)
    two["score"][4] = 0
    clip = read_kinetics(save(content([(1, [one]), (2, []), (4, [two])])))
    assert clip.pos.shape == (1, 4, 18, 3) and clip.scored and clip.label == 1
    assert clip.layout.name == "openpose18"
    np.testing.assert_allclose(clip.places[0, 0].ravel(), np.array(one["pose"]) - 0.5, rtol=1e-6)
    np.testing.assert_array_equal(clip.mask[0].sum(axis=1), (18, 0, 0, 17))
    assert not clip.mask[0, 3, 4] and not clip.pos[0, 3, 4].any()
    assert clip.scores[0, 0, 0] == np.float32(0.5)
    flat = read_kinetics(save(content([(0, [one])])), score=False)
    assert flat.pos.shape == (1, 1, 18, 2) and not flat.scored


def test_which_bodies_count(save):
    frames = [
        (1, [body(0, 0.2), body(1, 0.3), body(2, 0.1)]),
        (2, [body(3, 0.9), body(4, 0.3), body(5, 0.4)]),
        (3, [body(6, 0.1), body(7, 0.8)]),
    ]
    path = save(content(frames))

    def x(clip):  # the first coordinate of the first joint, bodies by frames
        return (clip.pos[:, :, 0, 0] + 0.5).round(3).tolist()

    def wanted(*seeds):
        return [[body(seed)["pose"][0] for seed in row] for row in seeds]

    for rule, expected in (("best", [(1, 4, 7)]), ("two_best", [(1, 3, 7), (0, 5, 6)])):
        np.testing.assert_allclose(x(read_kinetics(path, rule)), wanted(*expected), atol=1e-3)
    assert read_kinetics(path, "all").num_bodies == 3
    crowd = [(1, [body(n, 0.1 + n / 10) for n in range(7)])]
    clip = read_kinetics(save(content(crowd)), "two_best")  # of the first five
    np.testing.assert_allclose(x(clip), wanted((4,), (3,)), atol=1e-3)
    with pytest.raises(InputError, match="bodies must be one of"):
        read_kinetics(path, "some")


def labels(**entries):
    names = ("run", "walk")
    return {
        name: {"has_skeleton": sure, "label": names[index], "label_index": index}
        for name, (index, sure) in entries.items()
    }


@pytest.fixture
def tree(save, tmp_path):
    for name, index in (("kinetics_train/a", 0), ("kinetics_train/b", 1), ("kinetics_val/c", 1)):
        save(content([(1, [body(index)])], ("run", "walk")[index], index), name)
    save(content([], "run", 0), "kinetics_train/empty")
    save(labels(a=(0, True), b=(1, True), empty=(0, False), gone=(0, True)), "kinetics_train_label")
    save(labels(c=(1, True)), "kinetics_val_label")
    return tmp_path


def test_the_set(tree):
    source = open_kinetics(tree)
    assert source.names == ("a", "b", "empty", "gone", "c")
    assert source.class_names == ("run", "walk")
    assert members(source, "kinetics") == (("a", "b", "empty", "gone"), ("c",))
    assert [source.read(place).label for place in (0, 1, 4)] == [0, 1, 1]
    with pytest.raises(InputError, match="has_skeleton is false"):
        source.read(2)
    with pytest.raises(InputError, match=r"gone\.json: cannot be read"):
        source.read(3)
    assert pickle.loads(pickle.dumps(source)).read(0).name == "a"
    before = source.stamp()
    (tree / "kinetics_val" / "c.json").write_text("{}")
    assert open_kinetics(tree).stamp() != before
    one = open_kinetics(tree / "kinetics_train")
    assert one.splits == {} and len(one) == 4 and one.class_names == ("run", "walk")


def test_what_is_dropped_is_counted(tree, tmp_path):
    summary = prepare(open_kinetics(tree), tmp_path / "store")
    assert summary.read == 3 and [name for name, _ in summary.dropped] == ["empty", "gone"]
    assert "has_skeleton is false" in str(summary)


def test_a_folder_without_labels(save, tmp_path):
    save(content([(1, [body()])], index=3), "clips/a")
    source = open_kinetics(tmp_path / "clips")
    assert source.class_names == () and source.read(0).label == 3


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("[" * 10**6, "not valid JSON"),
        ('{"data": ' + "[" * 10**6, "not valid JSON"),
        ('{"data": 1' + "0" * 5000 + "}", "not valid JSON"),
        ("", "empty"),
        ("{", "not valid JSON"),
        ("[]", "is no JSON object"),
        ({}, 'no list "data"'),
        ({"data": []}, "no body in any frame; leave"),
        ({"data": [5]}, 'entry 1 of "data"'),
        ({"data": [{"frame_index": True, "skeleton": []}]}, 'entry 1 of "data"'),
        (content([(1, [body()]), (1, [body()])]), "duplicate frame 1"),
        (content([(-1, [body()])]), "frame -1: not from 0"),
        (
            content([(n, []) for n in (*range(19_000), 18_999)]),
            "duplicate frame 18999",
        ),
        ('{"data": [], "data": []}', "key 'data' repeated"),
        (content([(1, [{**body(), "pose": [320.0] * 36}])]), "far outside of the picture"),
        (content([(1, [body()])], index=[[[]]]), '"label_index" is a list'),
        (content([(10**9, [body()])]), "frame 1000000000: not from 0"),
        (content([(1, [{}])]), 'frame 1, body 1: "pose" is no list'),
        (content([(1, [{**body(), "score": [1] * 17}])]), '"score" is 17 numbers'),
        (content([(1, [{**body(), "score": [None] * 18}])]), "no finite number"),
        (content([(1, [{**body(), "score": [float("nan")] * 18}])]), "no finite number"),
        (content([(1, [{**body(), "score": [0] * 18}])]), "all joints .* missing"),
        (content([(1, [body()])], index="x"), '"label_index" is x'),
        (content([(1, [body()])], index=10**6), '"label_index" is 1000000'),
    ],
)
def test_bad_clips_are_named(save, value, told):
    path = save(value)
    with pytest.raises(InputError, match=told) as caught:
        read_kinetics(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "a\\b", "a\0", ""])
def test_names_that_lead_astray(tree, save, name):
    save(labels(**{name: (0, True)}), "kinetics_train_label")
    with pytest.raises(InputError, match="name"):
        open_kinetics(tree)


def test_files_that_contradict_each_other(tree, save, tmp_path):
    save(labels(a=(1, True)), "kinetics_train_label")
    with pytest.raises(InputError, match='"label_index" is 0, but the file of labels says 1'):
        open_kinetics(tree).read(0)
    both = {"c": {"has_skeleton": True, "label": "sit", "label_index": 1}}
    save(both, "kinetics_val_label")
    with pytest.raises(InputError, match="class 1 is 'sit', but 'walk' elsewhere"):
        open_kinetics(tree)
    save(both | labels(d=(1, True)), "kinetics_val_label")
    with pytest.raises(
        InputError, match=r"val_label\.json \('c'\): class 1 is 'sit', but 'walk' elsewhere"
    ):
        open_kinetics(tree)
    save({"c": 5}, "kinetics_val_label")
    with pytest.raises(InputError, match="no has_skeleton"):
        open_kinetics(tree)
    save(labels(), "kinetics_val_label")
    save(content([(1, [body()])]), "kinetics_val/a")
    with pytest.raises(InputError, match=r"a\.json: .* is called a too"):
        open_kinetics(tree)
    with pytest.raises(InputError, match="is no folder"):
        open_kinetics(tmp_path / "absent")
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no clips"):
        open_kinetics(tmp_path / "none")


def test_a_name_twice_in_the_labels(tree):
    entry = '"a": {"has_skeleton": true, "label": "run", "label_index": 0}'
    (tree / "kinetics_train_label.json").write_text("{" + entry + ", " + entry + "}")
    with pytest.raises(InputError, match="key 'a' repeated"):
        open_kinetics(tree)


def test_places_of_unseen_joints_may_be_anything(save):
    one = body()
    one["pose"][:2], one["score"][0] = [-50.0, 80.0], 0
    clip = read_kinetics(save(content([(1, [one])])))
    assert np.argwhere(~clip.mask).tolist() == [[0, 0, 0]] and not clip.pos[0, 0, 0].any()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=100)
@given(ANYTHING, st.sampled_from(["data", "label_index", "frame_index", "skeleton", "body",
                                  "pose", "score"]))  # fmt: skip
def test_any_value_anywhere_gives_a_clip_or_an_error(tmp_path_factory, value, where):
    person = body()
    frame = {"frame_index": 2, "skeleton": [person]}
    clip = content([(1, [body(1)])])
    clip["data"].append(frame)
    holder = {"pose": person, "score": person, "frame_index": frame, "skeleton": frame}
    if where == "body":
        frame["skeleton"].append(value)
    else:
        holder.get(where, clip)[where] = value
    path = tmp_path_factory.getbasetemp() / "anything.json"
    path.write_text(json.dumps(clip))
    for rule in ("best", "two_best", "all"):
        try:
            found = read_kinetics(path, rule)
        except InputError as error:
            assert str(error).startswith(str(path))
        else:
            assert np.isfinite(found.pos).all() and -1 <= found.label < 10_000


def test_a_file_for_a_model(save):
    path = save(content([(1, [body(0, 0.2), body(1)])]))
    for options, shape in (({}, (1, 1, 18, 3)), ({"bodies": "all", "score": False}, (2, 1, 18, 2))):
        (clip,) = read_clips(path, [], options)
        assert clip.pos.shape == shape
    with pytest.raises(InputError, match="no option 'scale' for Kinetics-Skeleton"):
        read_clips(path, [], {"scale": 2})
    other = save({"skeletons": np.ones((2, 20, 3)).tolist(), "label": 1}, "nw_ucla")
    assert read_clips(other, [])[0].layout.name == "kinectv1_20"


@pytest.mark.slow
def test_mutants():
    def make(folder):
        (folder / "k").mkdir()
        clip, table = folder / "k" / "a.json", folder / "k_label.json"
        clip.write_text(json.dumps(content([(1, [body(0), body(1)]), (2, [body(2)])])))
        table.write_text(json.dumps({"a": {"has_skeleton": True, "label": "r", "label_index": 1}}))
        return [clip, clip, clip, table]

    good, bad = check_reader(
        make, lambda folder: open_kinetics(folder / "k", "two_best"), 20_000, seed=13
    )
    assert good > 500 and bad > 1000
