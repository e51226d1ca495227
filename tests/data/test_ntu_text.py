from __future__ import annotations

import random

import numpy as np
import pytest
from fuzz import mutate
from hypothesis import given, settings
from hypothesis import strategies as st

from asgcn_dgl.data.ntu import _parse_carefully
from asgcn_dgl.data.ntu_text import _find_fields, _floats, parse_bodies
from asgcn_dgl.data.synthetic.writer import format_skeleton, make_clip


def same(data, path):
    fast, slow = parse_bodies(data), _parse_carefully(path, data)
    assert fast is not None
    assert fast.num_frames == slow.num_frames and fast.identity == slow.identity
    for name in ("frame", "pos", "state"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name))


@pytest.mark.parametrize("action", [1, 11, 13])
def test_the_fast_way_reads_what_the_careful_one_does(action, tmp_path):
    data = format_skeleton(make_clip(action, 1, 2, 1, losses=3.0)).encode("ascii")
    for text in (data, data.replace(b"\r\n", b"\n"), data.rstrip(), data + b" \r\n\r\n"):
        same(text, tmp_path)


def test_frames_without_bodies_at_both_ends(ntu_text, tmp_path):
    pose = np.random.default_rng(0).normal(size=(25, 3))
    frames = [[], [], [(7, pose, 2), (8, pose, 1)], [], [(8, pose, 0)], []]
    same(ntu_text(frames).encode(), tmp_path)


NUMBERS = st.one_of(
    st.floats(-9.99, 9.99).map(lambda x: f"{x:.7g}"),
    st.floats(-1e9, 1e9).map(repr),
    st.floats(-1e-3, 1e-3).map(lambda x: f"{x:.10f}"),
    st.integers(-99, 99).map(str),
    st.decimals(-9, 9, places=8).map(str),
    st.sampled_from(["-0", "0.", ".5", "-.25", "+1.5", "1e5", "-2.5E-05", "0.00000000", "-0.0"]),
)


@settings(deadline=None)
@given(st.lists(NUMBERS, min_size=2, max_size=30))
def test_numbers_are_those_of_float(numbers):
    found = _find_fields(("12345678 " + " ".join(numbers)).encode())
    assert found is not None
    values = _floats(found, np.arange(1, 1 + len(numbers)))
    assert values is not None
    expected = np.array([float(number) for number in numbers])
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(np.signbit(values), np.signbit(expected))


@pytest.mark.parametrize(
    "number", ["nan", "inf", "1_0", "0x1", "1e999", "--1", "1.2.3", "0.12a45", "1.-5", "0.1/2", "e"]
)
def test_what_is_no_finite_number_is_left_to_the_careful_reader(number):
    found = _find_fields(f"12345678 1.5 {number} 2.5".encode())
    assert found is not None
    assert _floats(found, np.arange(1, 4)) is None


def cut(data):
    return data[:-40]


def two_spaces(data):
    return data.replace(b" ", b"  ", 1)


def a_line_of_windows(data):
    return data.replace(b"\n", b"\r\n", 400).replace(b"\r\n", b"\n", 3)


def other_joints(data):
    return data.replace(b"\n25\n", b"\n20\n", 1)


def one_frame_more(data):
    return b"4" + data[1:]


def a_field_less(data):
    return data.replace(b" 200 200 ", b" 200 ", 1)


def a_count_more(data):
    lines = data.split(b"\n")
    lines[1] = b"2"
    return b"\n".join(lines)


def no_text(data):
    return data.replace(b"200", b"2\xff0", 1)


def state_three(data):
    return data.replace(b" 2\n0.", b" 3\n0.", 1)


def named_body(data):
    return data.replace(b"\n7 0 1", b"\nx 0 1", 1)


def body_first(data):
    return b"\n".join(data.split(b"\n")[2:29])


def no_frames_but_a_body(data):
    return b"\n".join([b"0", *data.split(b"\n")[2:29]])


def a_count_that_only_adds_up_to_25(data):
    return data.replace(b"\n25\n", b"\n1?\n", 1)


@pytest.mark.parametrize(
    "change",
    [body_first, no_frames_but_a_body, a_count_that_only_adds_up_to_25, cut, two_spaces,
     other_joints, one_frame_more, a_field_less, a_count_more, no_text, state_three, named_body,
     a_line_of_windows, lambda data: b"", lambda data: b"3\n0\n0\n0\n"],
)  # fmt: skip
def test_any_other_text_is_left_to_the_careful_reader(change, ntu_text):
    poses = np.abs(np.random.default_rng(0).normal(size=(3, 25, 3))) + 0.1
    data = ntu_text([[(7, pose / 10, 2)] for pose in poses]).encode()
    assert parse_bodies(data) is not None
    assert parse_bodies(change(data)) is None


@pytest.mark.slow
def test_of_mutants_the_fast_way_takes_only_what_the_careful_one_reads_the_same(ntu_text, tmp_path):
    draw, poses = random.Random(0), np.random.default_rng(0)
    taken = 0
    for number in range(20_000):
        if number % 1000 == 0:
            frames = [[(7 + who, poses.normal(size=(25, 3)), 2)] for who in range(2)]
            data = ntu_text(frames).encode()
        mutant = mutate(data, draw)
        if parse_bodies(mutant) is not None:
            same(mutant, tmp_path)
            taken += 1
    assert taken > 1000
