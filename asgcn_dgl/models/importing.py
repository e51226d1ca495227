"""Published weights as models of this library.

ST-GCN (Yan et al., AAAI 2018), PYSKL's ST-GCN and ST-GCN++ (Duan et al., ACM MM 2022) and AS-GCN
(Li et al., CVPR 2019). The imported model gives the logits of the published code. Biases in front
of a batch norm are folded into its running mean, so that the weights are equal functions in
evaluation, and in training but for the first steps of the statistics.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from asgcn_dgl.errors import InputError
from asgcn_dgl.models.asgcn import ASGCN
from asgcn_dgl.models.config import ASGCNConfig
from asgcn_dgl.models.pretrained import load_tensors
from asgcn_dgl.models.stgcn import STGCN
from asgcn_dgl.nn import (
    AGConv,
    AIMEncoder,
    ASGCNBlock,
    InputNorm,
    MaskedBatchNorm,
    MultiBranchTemporalConv,
    PredictionHead,
    SGConv,
    TemporalConv,
)
from asgcn_dgl.nn.mlp import MLP
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout, get_layout

__all__ = ["Source", "import_weights", "read_state"]

Source = Literal["st-gcn", "pyskl", "as-gcn"]
SOURCES: tuple[Source, ...] = get_args(Source)

logger = logging.getLogger(__name__)

#: Layouts to try for so many joints, the usual one first.
_LAYOUTS = {
    25: ("ntu25", "ntu25_pyskl", "openpose25"),
    18: ("openpose18",),
    17: ("coco17",),
    21: ("hand21",),
    20: ("kinectv1_20",),
}
#: Parts of keys that only models have which this library cannot represent.
_OTHERS = (
    (r"(^|\.)(s?gcn3d\d*|sgcn\d+)\.", "MS-G3D", "its graphs join several frames"),
    (r"\.convs\.\d+\.conv[1-4]\.", "CTR-GCN", "its graphs differ from channel to channel"),
    (r"\.conv_[abd]\.", "2s-AGCN or AAGCN", "its graphs are computed from the features"),
    (r"\.gcn\.(alpha|beta)$", "DG-STGCN", "its graphs are computed from the features"),
    (r"Feature_Mask|\.shift_(in|out)", "Shift-GCN", "it shifts features between joints"),
)
#: A key that each source has, and its name without a prefix.
_SIGNS = {"st-gcn": "st_gcn_networks.0.", "pyskl": "backbone.gcn.0.", "as-gcn": "class_layer_0."}


def import_weights(
    weights: str | Path | Sequence[str | Path] | Mapping[str, Any],
    source: Source,
    layout: SkeletonLayout | str | None = None,
    num_classes: int | None = None,
    *,
    bodies: int = 2,
    adaptive: Literal["importance", "offset"] = "importance",
) -> ASGCN:
    """Return a model with published weights, in evaluation mode.

    Parameters
    ----------
    weights
        The ``.pt`` or ``.pth`` file, several whose weights belong together (AS-GCN keeps its
        encoder in a second one), or a state dict.
    source
        ``"st-gcn"``, ``"pyskl"`` (ST-GCN and ST-GCN++) or ``"as-gcn"``.
    layout
        Layout of the joints; None for the supplied one whose operators the file has.
    num_classes
        K, to be checked against the file's.
    bodies
        Bodies that the published code computes of every clip.
    adaptive
        PYSKL's ``gcn_adaptive`` where the file has ``PA``: ``"importance"`` multiplies, and
        ``"offset"`` adds. Where it has none, the operators themselves are learned (``"init"``).

    Returns
    -------
    ASGCN
        The model; its type is that of the weights.

    Raises
    ------
    InputError
        If a file cannot be read, or its weights are not of the source.
    """
    if source not in SOURCES:
        raise ValueError(f"source must be one of {', '.join(SOURCES)}, got {source!r}")
    if isinstance(weights, Mapping):
        state, name = _tensors(weights, "the state dict"), "the state dict"
    else:
        files = [weights] if isinstance(weights, str | Path) else list(weights)
        state, name = {}, ", ".join(str(file) for file in files)
        for file in files:
            state |= read_state(file)
    _check_source(state, source, name)
    found = _State(state, name)
    make = {"st-gcn": _stgcn, "pyskl": _pyskl, "as-gcn": _asgcn}[source]
    with torch.no_grad():
        model = make(found, layout, num_classes, bodies, adaptive)
    found.finish()
    return model.eval()


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Return the weights in a file by their published names, without running any code from it.

    Zipped and legacy files are read, with the weights at the top or nested as ``state_dict``, and
    prefixes ``module.`` are dropped.
    """
    wrong = "not a file of weights alone ({}); save its state dict by itself"
    return _tensors(load_tensors(path, wrong), str(path))


def _tensors(held: Any, name: str) -> dict[str, Tensor]:
    """Return the tensors of a state dict, which may be nested."""
    for key in ("state_dict", "model_state_dict", "model", "weights", "net"):
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    found = {}
    if isinstance(held, Mapping):
        found = {str(k): v.detach() for k, v in held.items() if isinstance(v, Tensor)}
    if not found:
        raise InputError(f"{name}: holds no weights by name; give a file with a state dict")
    for prefix in ("module.", "model."):
        while all(key.startswith(prefix) for key in found):
            found = {key.removeprefix(prefix): value for key, value in found.items()}
    return _first_names(found)


def _first_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename weights of MMAction2, which has ST-GCN and PYSKL's models under names of its own."""
    renamed = {"cls_head.fc.": "cls_head.fc_cls."}
    if any(key.startswith("backbone.st_gcn_networks.") for key in state):
        renamed = {"cls_head.fc.": "fcn.", "backbone.": ""}
    for old, new in renamed.items():
        state = {
            new + key.removeprefix(old) if key.startswith(old) else key: value
            for key, value in state.items()
        }
    return state


def _check_source(state: Mapping[str, Tensor], source: str, name: str) -> None:
    for pattern, other, why in _OTHERS:
        if any(re.search(pattern, key) for key in state):
            raise InputError(f"{name}: weights of {other}, which cannot be imported: {why}")
    if any(key.startswith(_SIGNS[source]) for key in state):
        return
    for other, sign in _SIGNS.items():
        if any(key.startswith(sign) for key in state):
            raise InputError(f"{name}: weights of {other}, not of {source}; give --from {other}")
    some = ", ".join(list(state)[:3])
    raise InputError(
        f"{name}: not weights of {source}, which have names like {_SIGNS[source]}*; got {some}"
    )


class _State:
    """Weights by published name, each taken once."""

    def __init__(self, state: Mapping[str, Tensor], name: str) -> None:
        self.left = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
        self.name = name

    def __contains__(self, key: str) -> bool:
        return key in self.left

    def any(self, prefix: str) -> bool:
        """Tell whether a key begins so."""
        return any(key.startswith(prefix) for key in self.left)

    def count(self, prefix: str) -> int:
        """Return how many numbers follow a prefix, from 0 on."""
        number = 0
        while self.any(f"{prefix}{number}."):
            number += 1
        return number

    def look(self, key: str) -> Tensor:
        """Return a tensor and leave it."""
        if key not in self.left:
            raise InputError(f"{self.name}: holds no {key!r}, which such weights have")
        return self.left[key]

    def take(self, key: str) -> Tensor:
        """Return a tensor and count it as used."""
        value = self.look(key)
        del self.left[key]
        return value

    def drop(self, prefix: str) -> int:
        """Leave out all keys that begin so; return how many there were."""
        keys = [key for key in self.left if key.startswith(prefix)]
        for key in keys:
            del self.left[key]
        return len(keys)

    def put(self, target: Tensor, value: Tensor, key: str) -> None:
        """Copy a value into a parameter of the same shape."""
        if target.shape != value.shape:
            raise InputError(
                f"{self.name}: {key} has shape {tuple(value.shape)} where {tuple(target.shape)} "
                "is expected; its options differ from the published ones"
            )
        target.copy_(value)

    def move(self, key: str, target: Tensor, flat: bool = False) -> None:
        """Take a tensor into a parameter; ``flat`` joins all axes after the first."""
        value = self.take(key)
        self.put(target, value.flatten(1) if flat else value, key)

    def finish(self) -> None:
        """Refuse weights of which nothing was made."""
        if self.left:
            some = ", ".join(list(self.left)[:3])
            raise InputError(
                f"{self.name}: {len(self.left)} weights have no counterpart here ({some}, ...)"
            )


def _stgcn(
    state: _State, layout: Any, num_classes: int | None, bodies: int, adaptive: str
) -> ASGCN:
    count = state.count("st_gcn_networks.")
    blocks = [f"st_gcn_networks.{number}." for number in range(count)]
    operators = state.take("A") if "A" in state else None
    masks = [_optional(state, f"edge_importance.{number}") for number in range(count)]
    first = state.look(f"{blocks[0]}gcn.conv.weight")
    relations = 3 if operators is None else len(operators)
    shapes = [state.look(f"{block}tcn.2.weight").shape for block in blocks]
    joints = state.look("data_bn.weight").numel() // first.shape[1]
    structure = _structure([operators], layout, joints, relations, state.name)
    model: ASGCN = STGCN(
        _config(
            structure,
            name="stgcn",
            num_classes=_classes(state, "fcn.weight", num_classes),
            in_feats=first.shape[1],
            channels=[shape[0] for shape in shapes],
            strides=[
                _stride(state, f"{block}residual.0.weight", k) for k, block in enumerate(blocks)
            ],
            kernel_size=shapes[0][2],
            fixed_bodies=bodies,
        )
    ).to(first.dtype)
    _input_norm(state, model.input_norm, "data_bn.")
    for block, key, mask in zip(model.blocks, blocks, masks, strict=True):
        assert isinstance(block, ASGCNBlock)
        _spatial(state, block, f"{key}gcn.conv.")
        structure.set(block, operators, mask)
        _common_block(state, block, key)
    _classifier(state, model, "fcn.")
    return model


def _pyskl(
    state: _State, layout: Any, num_classes: int | None, bodies: int, adaptive: str
) -> ASGCN:
    count = state.count("backbone.gcn.")
    blocks = [f"backbone.gcn.{number}." for number in range(count)]
    first = state.look(f"{blocks[0]}gcn.conv.weight")
    operators = [state.take(f"{block}gcn.A") for block in blocks]
    masks = [_optional(state, f"{block}gcn.PA") for block in blocks]
    joints = operators[0].shape[-1]
    structure = _structure(
        # Learned operators are those of no layout: they become offsets.
        [None] if masks[0] is None else operators,
        layout or ("ntu25_pyskl" if joints == 25 else None),
        joints,
        len(operators[0]),
        state.name,
        additive=masks[0] is None or adaptive == "offset",
    )
    branches = state.any(f"{blocks[0]}tcn.branches.")
    if first.shape[0] != len(operators[0]) * state.look(f"{blocks[0]}gcn.bn.weight").numel():
        raise InputError(
            f"{state.name}: maps features after they are summed (gcn_conv_pos post), which cannot "
            "be represented"
        )
    norm = "backbone.data_bn.weight"
    if norm in state and state.look(norm).numel() != joints * first.shape[1]:
        raise InputError(
            f"{state.name}: normalizes the input body by body (data_bn_type MVC), which cannot be "
            "represented"
        )
    last = "transform.2.weight" if branches else "conv.weight"
    kernel = "branches.0.3.conv.weight" if branches else "conv.weight"
    model: ASGCN = STGCN(
        _config(
            structure,
            name="stgcn",
            num_classes=_classes(state, "cls_head.fc_cls.weight", num_classes),
            in_feats=first.shape[1],
            channels=[state.look(f"{block}tcn.{last}").shape[0] for block in blocks],
            strides=[
                _stride(state, f"{block}residual.conv.weight", k) for k, block in enumerate(blocks)
            ],
            kernel_size=state.look(f"{blocks[0]}tcn.{kernel}").shape[2],
            temporal="branches" if branches else "single",
            conv_residual=state.any(f"{blocks[0]}gcn.down."),
            fixed_bodies=bodies,
        )
    ).to(first.dtype)
    if norm in state:
        _input_norm(state, model.input_norm, "backbone.data_bn.")
    else:
        _no_norm(model.input_norm)
    for block, key, operator, mask in zip(model.blocks, blocks, operators, masks, strict=True):
        assert isinstance(block, ASGCNBlock)
        _spatial(state, block, f"{key}gcn.conv.")
        if mask is not None and adaptive == "importance" and block is model.blocks[0]:
            _warn_of_offset(state, operator, mask)
        structure.set(block, operator, mask)
        _norm(state, block.spatial_norm, f"{key}gcn.bn.")
        if block.conv_shortcut is not None:
            _pointwise(state, block.conv_shortcut, block.conv_shortcut_norm, f"{key}gcn.down.")
        _temporal_pyskl(state, block, f"{key}tcn.")
        if block.shortcut is not None:
            key = f"{key}residual."
            _pointwise(state, block.shortcut, block.shortcut_norm, key, "conv.", "bn.")
    _classifier(state, model, "cls_head.fc_cls.")
    return model


def _asgcn(
    state: _State, layout: Any, num_classes: int | None, bodies: int, adaptive: str
) -> ASGCN:
    if not state.any("encoder."):
        raise InputError(
            f"{state.name}: holds no encoder.*, which infers the A-links; AS-GCN keeps it in a "
            "second file (model 2): give both"
        )
    if state.drop("decoder."):
        logger.info("the published decoder has no counterpart: that of the A-links is new")
    blocks = [f"class_layer_{number}." for number in range(state.count("class_layer_"))]
    heads = [f"recon_layer_{number}." for number in range(state.count("recon_layer_"))]
    operators = state.take("A") if "A" in state else None
    first = state.look(f"{blocks[0]}gcn.conv.weight")
    shapes = [state.look(f"{block}tcn.2.weight").shape for block in blocks]
    types = state.look("encoder.fc_out.weight").shape[0] - 1
    relations = first.shape[0] // shapes[0][0] - types
    joints = state.look("data_bn.weight").numel() // first.shape[1]
    structure = _structure([operators], layout, joints, relations, state.name)
    hidden, seen = state.look("encoder.mlp1.fc1.weight").shape
    dims = first.shape[1]
    options: dict[str, Any] = {"future_frames": 0}
    if heads:
        future = state.look(f"{heads[-1]}tcn_recon.2.weight").shape[1]
        options = {
            "future_frames": future // dims,
            "future_channels": state.look(f"{heads[0]}tcn.2.weight").shape[0],
            "future_head": "published",
        }
    model = ASGCN(
        _config(
            structure,
            num_classes=_classes(state, "fcn.weight", num_classes),
            in_feats=dims,
            channels=[shape[0] for shape in shapes],
            strides=[
                _stride(state, f"{block}residual.0.weight", k) for k, block in enumerate(blocks)
            ],
            kernel_size=shapes[0][2],
            num_actional=types,
            actional_weight=0.5,
            link_norm="self_loop",
            scale=0.1,
            hard=True,
            aim_frames=seen // dims,
            aim_hidden=hidden,
            link_mode="steady",
            fixed_bodies=bodies,
            **options,
        )
    ).to(first.dtype)
    _input_norm(state, model.input_norm, "data_bn.")
    for number, (block, key) in enumerate(zip(model.blocks, blocks, strict=True)):
        assert isinstance(block, ASGCNBlock)
        _spatial(state, block, f"{key}gcn.conv.")
        structure.set(block, operators, _optional(state, f"edge_importance.{number}"))
        _common_block(state, block, key)
    if model.prediction is not None:
        assert isinstance(model.prediction, PredictionHead)
        _prediction(state, structure, model.prediction, heads, operators)
    state.drop("edge_importance")  # the published code makes more than it uses
    assert model.aim is not None
    _encoder(state, model.aim.encoder, joints)
    _classifier(state, model, "fcn.")
    return model


def _prediction(
    state: _State,
    structure: _Structure,
    head: PredictionHead,
    keys: Sequence[str],
    operators: Tensor | None,
) -> None:
    if len(keys) != len(head.shrink) + 1:
        raise InputError(
            f"{state.name}: its prediction head has {len(keys)} layers, the published one "
            f"{len(head.shrink) + 1}"
        )
    masks = [_optional(state, f"edge_importance_recon.{number}") for number in range(len(keys))]
    for block, key, mask in zip(head.shrink, keys, masks, strict=False):
        assert isinstance(block, ASGCNBlock)
        _spatial(state, block, f"{key}gcn.conv.")
        structure.set(block, operators, mask)
        _common_block(state, block, key)
    block, key = head.last, keys[-1]
    _spatial(state, block, f"{key}gcn_recon.deconv.", transposed=True)
    structure.set(block, operators, masks[-1])
    _norm(state, block.spatial_norm, f"{key}tcn_recon.0.")
    weight = state.take(f"{key}tcn_recon.2.weight").transpose(0, 1)
    norm = MaskedBatchNorm(weight.shape[0]).to(weight.dtype).eval()
    _norm(state, norm, f"{key}tcn_recon.3.", state.take(f"{key}tcn_recon.2.bias"))
    gain, shift = norm.steady()
    # Theirs is coordinate by coordinate, here frame by frame.
    order = torch.arange(len(gain)).view(head.pose_feats, head.future_frames).t().flatten()
    assert isinstance(block.temporal, TemporalConv) and block.temporal.bias is not None
    state.put(
        block.temporal.weight,
        (weight * gain.view(-1, 1, 1, 1))[order],
        f"{key}tcn_recon.2.weight",
    )
    state.put(block.temporal.bias, shift[order], f"{key}tcn_recon.3.bias")


def _encoder(state: _State, encoder: AIMEncoder, joints: int) -> None:
    pairs = zip(encoder.joint_maps, encoder.link_maps, strict=True)
    for number, each in enumerate(itertools.chain(*pairs), start=1):
        assert isinstance(each, MLP) and each.norm is not None
        key = f"encoder.mlp{number}."
        weight = state.take(f"{key}fc1.weight")
        if each is encoder.joint_maps[1]:
            # Theirs sums over the others and divides by V, ours averages over V - 1; and theirs
            # does not see the joint again.
            own = weight.new_zeros(each.first.weight.shape)
            own[:, : weight.shape[1]] = weight * ((joints - 1) / joints)
            weight = own
        state.put(each.first.weight, weight, f"{key}fc1.weight")
        state.move(f"{key}fc1.bias", each.first.bias)
        for name in ("weight", "bias"):
            state.move(f"{key}fc2.{name}", getattr(each.second, name))
        _norm(state, each.norm, f"{key}bn.")
    for name in ("weight", "bias"):
        state.move(f"encoder.fc_out.{name}", getattr(encoder.out, name))


class _Structure:
    """How published operators become the masks and offsets of a layout.

    ``order`` is the published relation of each of ours; ``additive``, that what is published is
    added to the layout's operators or replaces them; ``replaces``, that it does (masks are 0).
    """

    def __init__(
        self,
        layout: SkeletonLayout,
        options: Mapping[str, Any],
        order: Sequence[int],
        *,
        additive: bool,
        replaces: bool,
    ) -> None:
        self.layout, self.options, self.order = layout, dict(options), list(order)
        self.additive, self.replaces = additive, replaces

    def set(self, block: ASGCNBlock, operators: Tensor | None, change: Tensor | None) -> None:
        """Set masks and offsets of a block, and bring its weights to our order of relations."""
        conv = block.spatial.structural
        for each in (conv.weight, conv.relation_bias):
            assert each is not None
            each.copy_(each[self.order])
        template = GraphBuilder(num_actional=0, **self.options).template(self.layout)
        assert conv.masks is not None
        masks = conv.masks[self.layout.name]
        if not self.additive and not self.replaces:
            place = (np.asarray(self.order)[template.relation], template.src, template.dst)
            where = tuple(torch.from_numpy(each) for each in place)
            if operators is not None:  # theirs may be rounded to 32 bits
                own = torch.from_numpy(template.weight).to(masks.dtype)
                masks.copy_(operators[where].to(masks.dtype) / own)
            if change is not None:
                masks.mul_(change[where])
            return
        assert conv.offsets is not None
        (offsets,) = conv.offsets.by_structure().values()
        if self.additive and not self.replaces:  # A + PA
            assert change is not None
            theirs = change
            if operators is not None:
                theirs = change + operators - _dense(operators, self.order, template)
        else:
            masks.zero_()
            assert operators is not None
            theirs = operators
            if change is not None:
                theirs = operators + change if self.additive else operators * change
        offsets.copy_(theirs[self.order].transpose(1, 2))


def _structure(
    operators: Sequence[Tensor | None],
    layout: SkeletonLayout | str | None,
    joints: int,
    relations: int,
    name: str,
    *,
    additive: bool = False,
) -> _Structure:
    """Find layout and links that have the published operators (R, V, V), senders first."""
    names = [layout] if layout is not None else list(_LAYOUTS.get(joints, ()))
    layouts = [get_layout(each) for each in names]
    for each in layouts:
        if each.num_joints != joints:
            raise InputError(
                f"{name}: weights of {joints} joints, but layout {each.name!r} has "
                f"{each.num_joints}; give --layout"
            )
    if not layouts:
        raise InputError(f"{name}: weights of {joints} joints; give their layout with --layout")
    if relations % 2 == 0 or relations < 3:
        raise InputError(f"{name}: {relations} relations of joints, where 1 + 2 hops are expected")
    hops = (relations - 1) // 2
    distance = {"max_hop": hops, "construction": "distance", "truncated": True}
    swapped = [0, *(k for hop in range(1, hops + 1) for k in (2 * hop, 2 * hop - 1))]
    power = {"max_hop": 1, "construction": "power", "norm": "transition"}
    given = operators[0]
    if given is None and additive:  # learned operators
        if relations != 3:
            raise InputError(f"{name}: {relations} learned operators, where 3 are expected")
        return _Structure(layouts[0], power, range(3), additive=False, replaces=True)
    ways: list[tuple[dict[str, Any], list[int]]] = [(distance, swapped)]
    if relations == 3:
        ways.append((power, [0, 1, 2]))
    for each in layouts:
        for options, order in ways:
            if given is None or _fits(given[order], each, options):
                return _Structure(each, options, order, additive=additive, replaces=False)
    if relations != 3:
        raise InputError(
            f"{name}: its operators are not those of layout {layouts[0].name!r}; give --layout"
        )
    logger.info("the operators are not those of %s: they are kept as offsets", layouts[0].name)
    return _Structure(layouts[0], distance, swapped, additive=additive, replaces=True)


def _fits(operators: Tensor, layout: SkeletonLayout, options: Mapping[str, Any]) -> bool:
    template = GraphBuilder(num_actional=0, **options).template(layout)
    own = _dense(operators, range(len(operators)), template)
    return bool(torch.allclose(own, operators, rtol=0, atol=1e-5))


def _dense(like: Tensor, order: Sequence[int], template: Any) -> Tensor:
    """Return the layout's own operators (R, V, V) in the published order."""
    own = np.zeros(tuple(like.shape))
    own[np.asarray(order)[template.relation], template.src, template.dst] = template.weight
    return torch.from_numpy(own).to(like.dtype)


def _config(structure: _Structure, **options: Any) -> ASGCNConfig:
    defaults = {"num_actional": 0, "future_frames": 0, "link_mode": "sampled"}
    return ASGCNConfig(
        structure.layout,
        **{
            **defaults,
            **structure.options,
            "bias": "relation",
            "masked": False,
            "structural_offsets": structure.additive or structure.replaces,
            **options,
        },
    )


def _optional(state: _State, key: str) -> Tensor | None:
    return state.take(key) if key in state else None


def _classes(state: _State, key: str, wanted: int | None) -> int:
    found = len(state.look(key))
    if wanted not in (None, found):
        raise InputError(
            f"{state.name}: weights of {found} classes, not {wanted}; import them as they are, "
            "and 'train --init' makes a new head"
        )
    return found


def _stride(state: _State, shortcut: str, number: int) -> int:
    """Return the stride of a block: the published ones have a shortcut map where it is 2."""
    return 2 if number > 0 and shortcut in state else 1


def _input_norm(state: _State, norm: nn.Module, prefix: str) -> None:
    assert isinstance(norm, InputNorm)
    for name in ("weight", "bias", "running_mean", "running_var"):
        target = getattr(norm, name)
        key = f"{prefix}{name}"
        if state.look(key).numel() != target.numel():
            state.put(target, state.look(key), key)  # which refuses it
        state.put(target, state.take(key).view(target.shape), key)


def _no_norm(norm: nn.Module) -> None:
    """Make an input norm that leaves its input as it is."""
    assert isinstance(norm, InputNorm)
    norm.running_var.fill_(1.0 - norm.eps)


def _norm(state: _State, norm: MaskedBatchNorm, prefix: str, bias: Tensor | float = 0.0) -> None:
    """Take a batch norm, and into its mean the bias of what is in front of it."""
    assert norm.running_mean is not None and norm.running_var is not None
    for name in ("weight", "bias", "running_var"):
        state.move(f"{prefix}{name}", getattr(norm, name))
    key = f"{prefix}running_mean"
    state.put(norm.running_mean, state.take(key) - bias, key)


def _spatial(state: _State, block: ASGCNBlock, prefix: str, *, transposed: bool = False) -> None:
    """Take the maps and biases of all relations, in their order, those of A-links last."""
    weight, bias = state.take(f"{prefix}weight").flatten(1), state.take(f"{prefix}bias")
    if transposed:  # (D, R O, 1, 1)
        weight = weight.view(weight.shape[0], -1).t()
    conv = block.spatial
    parts: list[SGConv | AGConv] = [conv.structural]
    if conv.actional is not None:
        parts.append(conv.actional)
    relations = sum(len(part.etypes) for part in parts)
    out_feats = conv.structural.out_feats
    if tuple(weight.shape) != (relations * out_feats, conv.structural.in_feats):
        state.put(conv.structural.weight, weight, f"{prefix}weight")  # which refuses it
    weights = weight.view(relations, out_feats, -1).transpose(1, 2)
    biases = bias.view(relations, out_feats)
    start = 0
    for part in parts:
        assert part.relation_bias is not None
        end = start + len(part.etypes)
        part.weight.copy_(weights[start:end])
        part.relation_bias.copy_(biases[start:end])
        start = end


def _common_block(state: _State, block: ASGCNBlock, key: str) -> None:
    """Take what follows the graph convolution in ST-GCN's and AS-GCN's blocks."""
    _norm(state, block.spatial_norm, f"{key}tcn.0.")
    _temporal(state, block, f"{key}tcn.2.", f"{key}tcn.3.")
    if block.shortcut is not None:
        _pointwise(state, block.shortcut, block.shortcut_norm, f"{key}residual.")


def _temporal(state: _State, block: ASGCNBlock, conv: str, norm: str) -> None:
    assert isinstance(block.temporal, TemporalConv) and block.temporal_norm is not None
    weight = state.take(f"{conv}weight").transpose(2, 3)
    state.put(block.temporal.weight, weight, f"{conv}weight")
    _norm(state, block.temporal_norm, norm, state.take(f"{conv}bias"))


def _pointwise(
    state: _State,
    linear: nn.Linear,
    norm: MaskedBatchNorm | None,
    prefix: str,
    conv: str = "0.",
    bn: str = "1.",
) -> None:
    assert norm is not None
    state.move(f"{prefix}{conv}weight", linear.weight, flat=True)
    _norm(state, norm, f"{prefix}{bn}", state.take(f"{prefix}{conv}bias"))


def _temporal_pyskl(state: _State, block: ASGCNBlock, key: str) -> None:
    conv = block.temporal
    if not isinstance(conv, MultiBranchTemporalConv):
        _temporal(state, block, f"{key}conv.", f"{key}bn.")
        return
    assert block.temporal_norm is not None
    dilated = len(conv.kernels)
    branches = [f"{key}branches.{number}." for number in range(dilated + 2)]
    reduced = branches[:-1]
    state.put(
        conv.reduce.weight,
        torch.cat([state.take(f"{each}0.weight").flatten(1) for each in reduced]),
        f"{key}branches.*.0.weight",
    )
    norms = {
        name: torch.cat([state.take(f"{each}1.{name}") for each in reduced])
        for name in ("weight", "bias", "running_mean", "running_var")
    }
    biases = torch.cat([state.take(f"{each}0.bias") for each in reduced])
    joined = _State({f"norm.{name}": value for name, value in norms.items()}, state.name)
    _norm(joined, conv.reduce_norm, "norm.", biases)
    shifts = []
    for kernel, each in zip(conv.kernels, branches, strict=False):
        name = f"{each}3.conv.weight"
        state.put(kernel, state.take(name).transpose(2, 3), name)
        shifts.append(state.take(f"{each}3.conv.bias"))
    shifts.append(torch.zeros_like(shifts[-1])[:1].expand(conv.widths[dilated]))
    state.move(f"{branches[-1]}weight", conv.point.weight, flat=True)
    shifts.append(state.take(f"{branches[-1]}bias"))
    assert conv.joined_norm is not None and conv.mix is not None
    _norm(state, conv.joined_norm, f"{key}transform.0.", torch.cat(shifts))
    name = f"{key}transform.2."
    state.move(f"{name}weight", conv.mix.weight, flat=True)
    _norm(state, block.temporal_norm, f"{key}bn.", state.take(f"{name}bias"))


def _classifier(state: _State, model: ASGCN, prefix: str) -> None:
    linear = model.recognition.linear
    state.move(f"{prefix}weight", linear.weight, flat=True)
    state.move(f"{prefix}bias", linear.bias)


def _warn_of_offset(state: _State, operators: Tensor, change: Tensor) -> None:
    """Say where masks look like offsets: where nothing is masked they were never trained."""
    elsewhere = change[operators == 0]
    if elsewhere.numel() and float(elsewhere.max() - elsewhere.min()) > 1e-3:
        logger.warning(
            "%s: PA differs where the operators are zero; if the model was trained with "
            "gcn_adaptive 'offset', import it with adaptive offset",
            state.name,
        )
