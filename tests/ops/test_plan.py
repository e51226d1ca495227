import gc

import dgl
import pytest
import torch
from strategies import chain

from asgcn_dgl.ops import actional_plan, plan, structural_plan
from asgcn_dgl.skeleton import GraphBuilder, get_layout

NTU = get_layout("ntu25")
BUILDER = GraphBuilder()
ETYPES = BUILDER.structural_etypes


def test_a_batch_of_one_layout_is_regular():
    found = structural_plan(BUILDER.batch(NTU, [1, 2, 1]), ETYPES)
    assert found.regular and (found.num_units, found.num_joints) == (4, 25)


def test_layouts_mixed_are_a_regular_part_each():
    graph = BUILDER.batch([NTU, chain(5), NTU], [1, 2, 2])
    found = structural_plan(graph, ETYPES)
    assert not found.regular and (found.num_units, found.num_joints) == (1, 85)
    for plan_found in (found, actional_plan(graph, BUILDER.actional_etypes)):
        sizes = {part.plan.num_joints: part for part in plan_found.parts}
        assert sorted(sizes) == [5, 25]
        assert sizes[25].plan.num_units == 3 and sizes[5].plan.num_units == 2
        assert sizes[5].nodes.tolist() == list(range(25, 35))


def test_the_same_joints_with_other_bones_are_parts_of_their_own():
    graph = BUILDER.batch([NTU, chain(25, "line")], [1, 1])
    found = structural_plan(graph, ETYPES)
    assert not found.regular and [part.plan.num_units for part in found.parts] == [1, 1]
    assert actional_plan(graph, BUILDER.actional_etypes).regular


def test_too_many_kinds_are_left_to_message_passing(monkeypatch):
    monkeypatch.setattr(plan, "MAX_PARTS", 1)
    graph = dgl.batch([BUILDER.clip(NTU), BUILDER.clip(chain(5))])
    assert structural_plan(graph, ETYPES).parts == ()
    assert actional_plan(graph, BUILDER.actional_etypes).parts == ()


def test_one_differing_weight_makes_a_batch_irregular():
    graph = BUILDER.batch(NTU, [1, 1])
    weight = graph.edges["centripetal_1"].data["weight"].clone()
    weight[-1] += 1.0
    graph.edges["centripetal_1"].data["weight"] = weight
    found = structural_plan(graph, ETYPES)
    assert not found.regular and found.parts == ()


def test_a_unit_is_a_clip_where_links_cross_bodies():
    builder = GraphBuilder(across_bodies=True)
    graph = builder.batch(NTU, [2, 2])
    assert structural_plan(graph, ETYPES).num_joints == 25
    found = actional_plan(graph, builder.actional_etypes)
    assert found.regular and (found.num_units, found.num_joints) == (2, 50)
    mixed = actional_plan(builder.batch(NTU, [1, 2, 1]), builder.actional_etypes)
    assert not mixed.regular
    assert {part.plan.num_joints: part.plan.num_units for part in mixed.parts} == {25: 2, 50: 1}


def test_relations_take_the_cheaper_side():
    """On NTU-25 at L = 4 that is 106 transforms of joints, not 200."""
    found = structural_plan(BUILDER.batch(NTU, [1]), ETYPES)
    transforms = 0
    for etype, relation in zip(ETYPES, found.relations, strict=True):
        senders, receivers = len(relation.senders[0]), len(relation.receivers[0])
        if etype.startswith("root"):
            assert relation.kind == "diagonal"
            continue
        assert relation.kind == ("send" if senders < receivers else "receive")
        transforms += min(senders, receivers)
    assert transforms == 106


def test_plans_are_kept_as_long_as_the_structure():
    graph = BUILDER.batch(NTU, [1, 1])
    assert structural_plan(graph, ETYPES) is structural_plan(graph.local_var(), ETYPES)
    again = BUILDER.batch(NTU, [1, 1])
    assert structural_plan(graph, ETYPES) is structural_plan(again, ETYPES)
    own = dgl.batch([BUILDER.clip(chain(3))] * 2)
    structural_plan(own, ETYPES)
    before = len(plan._PLANS)
    del own
    gc.collect()
    assert len(plan._PLANS) == before - 1


def test_edges_added_are_seen():
    graph = dgl.heterograph({("joint", "near", "joint"): ([0], [1])}, {"joint": 3})
    assert structural_plan(graph, ["near"]).relations[0].src.tolist() == [0]
    graph.add_edges(2, 0, etype="near")
    assert structural_plan(graph, ["near"]).relations[0].src.tolist() == [0, 2]


def test_large_units_are_left_to_message_passing(monkeypatch):
    monkeypatch.setattr(plan, "MAX_UNIT_JOINTS", 24)
    graph = dgl.batch([BUILDER.clip(NTU)])
    assert not structural_plan(graph, ETYPES).regular
    assert not actional_plan(graph, BUILDER.actional_etypes).regular


@pytest.mark.parametrize("missing", ["structure", "slot"])
def test_masks_need_what_finds_them(missing):
    graph = BUILDER.clip(chain(3))
    if missing == "structure":
        graph.ndata.pop("structure")
    else:
        graph.edges["root_1"].data.pop("slot")
    with pytest.raises(ValueError, match=r"ndata\['structure'\] and edge data 'slot'"):
        structural_plan(graph, ETYPES, {0: 0})


def test_complete_edges_are_receiver_major():
    receiver, sender = plan.complete_edges(3)
    assert receiver.tolist() == [0, 0, 1, 1, 2, 2] and sender.tolist() == [1, 2, 0, 2, 0, 1]
    assert all(len(side) == 0 for side in plan.complete_edges(1))
    assert torch.equal(plan.complete_edges(2)[1], torch.tensor([1, 0]))
