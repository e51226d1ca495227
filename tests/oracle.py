"""The paper's formulas, plainly: dense matrices, loops, no library code but the layouts."""

from __future__ import annotations

import networkx as nx
import numpy as np
import torch


def bone_graph(layout):
    graph = nx.Graph()
    graph.add_nodes_from(range(layout.num_joints))
    graph.add_edges_from(layout.bones)
    return graph


def hop_distances(layout):
    lengths = dict(nx.all_pairs_shortest_path_length(bone_graph(layout)))
    size = layout.num_joints
    return np.array([[lengths[i][j] for j in range(size)] for i in range(size)])


def partitions(layout):
    """A + I parted by distance to the centre; A[i, j] from j to i."""
    size, depth = layout.num_joints, hop_distances(layout)[layout.center]
    parts = {name: np.zeros((size, size)) for name in ("root", "centripetal", "centrifugal")}
    neighbours = [set(bone_graph(layout)[i]) | {i} for i in range(size)]
    for i in range(size):
        for j in neighbours[i]:
            side = (
                "root"
                if depth[j] == depth[i]
                else "centripetal"
                if depth[j] < depth[i]
                else "centrifugal"
            )
            parts[side][i, j] = 1.0
    return parts


def power_operators(layout, max_hop, normalization="transition"):
    operators = {}
    for hop in range(1, max_hop + 1):
        for name, matrix in partitions(layout).items():
            rows, columns = matrix.sum(1), matrix.sum(0)
            if normalization == "transition":
                base = np.divide(
                    matrix, rows[:, None], out=np.zeros_like(matrix), where=rows[:, None] > 0
                )
            else:
                scale = np.sqrt(np.outer(rows, columns))
                base = np.divide(matrix, scale, out=np.zeros_like(matrix), where=scale > 0)
            operators[f"{name}_{hop}"] = np.linalg.matrix_power(base, hop)
    return operators


def distance_operators(layout, max_hop, truncated=False):
    distance = hop_distances(layout)
    depth = distance[layout.center].astype(float)
    if truncated:
        depth = np.where(depth > max_hop, np.inf, depth)
    size = layout.num_joints
    operators = {"root_0": np.zeros((size, size))}
    for hop in range(1, max_hop + 1):
        operators[f"centripetal_{hop}"] = np.zeros((size, size))
        operators[f"centrifugal_{hop}"] = np.zeros((size, size))
    for i in range(size):
        reach = sum(distance[i, j] <= max_hop for j in range(size))
        for j in range(size):
            hop = distance[i, j]
            if hop > max_hop:
                continue
            side = "root" if hop == 0 else "centripetal" if depth[j] < depth[i] else "centrifugal"
            operators[f"{side}_{hop}"][i, j] = 1.0 / reach
    return operators


def dense_masks(operators, values):
    """The layer's flat masks (relation by relation, row by row, non-zeros only) as matrices."""
    masks, begin = {}, 0
    for name, matrix in operators.items():
        rows, columns = np.nonzero(matrix)
        mask = torch.zeros(matrix.shape, dtype=values.dtype)
        mask = mask.index_put(
            (torch.as_tensor(rows), torch.as_tensor(columns)), values[begin : begin + len(rows)]
        )
        masks[name] = mask
        begin += len(rows)
    assert begin == len(values)
    return masks


def sgc(feat, operators, weight, masks=None):
    """Eq. 5 for one body: feat (V, T, D), weight (R, D, O)."""
    total = 0.0
    for number, (name, matrix) in enumerate(operators.items()):
        operator = torch.as_tensor(matrix, dtype=feat.dtype)
        if masks is not None:
            operator = operator * masks[name]
        total = total + torch.einsum("ij,jtd,do->ito", operator, feat, weight[number])
    return total


def link_matrices(edge_weight, size):
    """One body's (V (V - 1), C) link strengths, receiver-major, as (C, V, V)."""
    pairs = [(i, j) for i in range(size) for j in range(size) if i != j]
    empty = torch.zeros(size, size, dtype=edge_weight.dtype)
    if not pairs:
        return torch.stack([empty] * edge_weight.shape[1])
    i, j = (torch.tensor(side) for side in zip(*pairs, strict=True))
    return torch.stack([empty.index_put((i, j), column) for column in edge_weight.t()])


def agc(feat, links, weight, normalise="paper"):
    """Eq. 4 for one body: feat (V, T, D), links (C, V, V), weight (C, D, O)."""
    total = 0.0
    for matrix, w in zip(links, weight, strict=True):
        if normalise == "self_loop":
            matrix = matrix + torch.eye(len(matrix), dtype=matrix.dtype)
        if normalise != "none":
            rows = []
            for row in matrix:
                degree = row.sum()
                rows.append(row / degree if degree > 0 else row)
            matrix = torch.stack(rows)
        total = total + torch.einsum("ij,jtd,do->ito", matrix, feat, w)
    return total


def mlp(module, feat, added=0.0):
    """Two layers with ELU, the first with something added; the norm from its formula, if any."""
    first = feat @ module.first.weight.t() + module.first.bias
    hidden = torch.nn.functional.elu(first + added)
    out = hidden @ module.second.weight.t() + module.second.bias
    if module.norm is None:
        return out
    out = torch.nn.functional.elu(out)
    rows = out.reshape(-1, out.shape[-1])
    if module.training:
        mean, var = rows.mean(0), rows.var(0, unbiased=False)
    else:
        mean, var = module.norm.running_mean, module.norm.running_var
    return (out - mean) / torch.sqrt(var + module.norm.eps) * module.norm.weight + module.norm.bias


def encode(encoder, bodies):
    """Logits of the encoder for equal bodies (B, V, F) of flattened frames, with concatenation."""
    batch, size, _ = bodies.shape
    pairs = [(i, j) for i in range(size) for j in range(size) if i != j]
    receiver = torch.tensor([i for i, _ in pairs])
    sender = torch.tensor([j for _, j in pairs])
    joint, link = bodies, None
    if encoder.motion:
        frames = bodies.view(batch, size, -1, encoder.in_feats)
        joint = (frames - frames.mean(2, keepdim=True)).flatten(2)
    maps = zip(encoder.joint_maps, encoder.link_maps, strict=True)
    for update, (joint_map, link_map) in enumerate(maps):
        h = mlp(joint_map, joint)
        parts = [h[:, receiver], h[:, sender]] + ([link] if link is not None else [])
        added = 0.0
        if encoder.motion:
            added = (h[:, receiver] * h[:, sender]) @ encoder.products[update].weight.t()
        link = mlp(link_map, torch.cat(parts, dim=-1), added)
        fan = link.view(batch, size, size - 1, -1)
        pooled = fan.mean(2) if encoder.reduce == "mean" else fan.max(2).values
        joint = torch.cat([pooled, joint], dim=-1)
    return link @ encoder.out.weight.t() + encoder.out.bias


def spoken_pose(decoder, c, x):
    """f_v of type c, of poses (V, D)."""
    elu, width = torch.nn.functional.elu, decoder.hidden_feats
    first = slice(c * width, (c + 1) * width)
    hidden = elu(x @ decoder.joint_first.weight[first].t() + decoder.joint_first.bias[first])
    return hidden @ decoder.joint_second.weight[c] + decoder.joint_second.bias[c]


def spoken(decoder, c, moved):
    """f_e of type c for messages of motion, of movements (V, D)."""
    h = spoken_pose(decoder, c, moved)
    z = h @ decoder.link_sender.weight[c] + decoder.link_sender.bias[c]
    return torch.nn.functional.elu(z) @ decoder.link_second.weight[c]


def decode(decoder, feat, links, pred_steps=1):
    """The decoder for one body, frame by frame: feat (V, T, D), links (C, V, V)."""
    size, frames, _ = feat.shape
    width, types = decoder.hidden_feats, decoder.num_actional
    elu = torch.nn.functional.elu
    state = torch.zeros(size, width, dtype=feat.dtype)
    gru, means, guess, before = decoder.gru, [], None, feat[:, 0]
    for t in range(frames - 1):
        x = feat[:, t] if t % pred_steps == 0 else guess
        messages = []
        for c in range(types):
            if decoder.motion:
                said, nothing = (spoken(decoder, c, each) for each in (x - before, 0 * x[:1]))
                q = (said - nothing)[None].expand(size, -1, -1)
            else:
                h = spoken_pose(decoder, c, x)
                w1 = torch.cat([decoder.link_receiver.weight[c], decoder.link_sender.weight[c]])
                pair = torch.cat(
                    [h[:, None].expand(-1, size, -1), h[None].expand(size, -1, -1)], dim=-1
                )
                z = elu(pair @ w1 + decoder.link_receiver.bias[c])
                q = z @ decoder.link_second.weight[c] + decoder.link_second.bias[c]
            messages.append(links[c][:, :, None] * q)
        q = sum(messages)  # (V, V, H)
        if decoder.motion:
            pooled = q.sum(1)
        elif decoder.reduce == "mean":
            pooled = q.sum(1) / max(size - 1, 1)
        else:
            off = ~torch.eye(size, dtype=torch.bool)
            pooled = torch.stack([q[i][off[i]].max(0).values for i in range(size)])
        p = torch.cat([pooled, x], dim=-1)
        gi = p @ gru.weight_ih_l0.t() + gru.bias_ih_l0
        gh = state @ gru.weight_hh_l0.t() + gru.bias_hh_l0
        ir, iz, inew = gi.chunk(3, -1)
        hr, hz, hnew = gh.chunk(3, -1)
        r, z = torch.sigmoid(ir + hr), torch.sigmoid(iz + hz)
        state = (1 - z) * torch.tanh(inew + r * hnew) + z * state
        change = mlp(decoder.out, state)
        guess = x + change if decoder.residual else change
        before = x
        means.append(guess)
    return torch.stack(means, dim=1)


def asgc(conv, layout, feat, edge_weight):
    """ASGConv for one body: feat (V, T, D), edge_weight (V (V - 1), C) or None."""
    structural = conv.structural
    hops = max(int(etype.rsplit("_", 1)[1]) for etype in structural.etypes)
    operators = power_operators(layout, hops)
    masks = None
    if structural.masks is not None:
        masks = dense_masks(operators, structural.masks[layout.name])
    out = sgc(feat, operators, structural.weight, masks)
    if conv.actional is not None:
        links = link_matrices(edge_weight, layout.num_joints)
        act = agc(feat, links, conv.actional.weight, conv.actional.link_norm)
        out = out + conv.actional_weight * conv.actional.scale * act
    return out if conv.bias is None else out + conv.bias


def batch_norm(norm, feat):
    """Batch norm over the last axis from its formula."""
    rows = feat.reshape(-1, feat.shape[-1])
    if norm.training:
        mean, var = rows.mean(0), rows.var(0, unbiased=False)
    else:
        mean, var = norm.running_mean, norm.running_var
    return (feat - mean) / torch.sqrt(var + norm.eps) * norm.weight + norm.bias


def temporal(conv, feat):
    """Temporal convolution, tap by tap."""
    pad = torch.zeros(feat.shape[0], conv.padding, feat.shape[2], dtype=feat.dtype)
    padded = torch.cat([pad, feat, pad], dim=1)
    frames = (padded.shape[1] - conv.kernel_size) // conv.stride + 1
    out = 0.0 if conv.bias is None else conv.bias
    for k in range(conv.kernel_size):
        taken = padded[:, [t * conv.stride + k for t in range(frames)]]
        out = out + taken @ conv.weight[:, :, 0, k].t()
    return out


def block(module, layout, feat, links):
    """Fig. 5 for equal bodies: feat (B, V, T, D), links (B, V (V - 1), C) or None."""
    batch, size = feat.shape[:2]
    each = [None] * batch if links is None else links
    spatial = torch.stack(
        [asgc(module.spatial, layout, x, e) for x, e in zip(feat, each, strict=True)]
    )
    hidden = torch.relu(batch_norm(module.spatial_norm, spatial)).flatten(0, 1)
    out = temporal(module.temporal, hidden)
    if module.temporal_norm is None:
        return out.view(batch, size, *out.shape[1:])
    out = batch_norm(module.temporal_norm, out)
    if module.residual:
        crop = (module.temporal.kernel_size - 1) // 2 - module.temporal.padding
        kept = [crop + t * module.temporal.stride for t in range(out.shape[1])]
        same = feat.flatten(0, 1)[:, kept]
        if module.shortcut is not None:
            same = batch_norm(module.shortcut_norm, same @ module.shortcut.weight.t())
        out = out + same
    return torch.relu(out).view(batch, size, *out.shape[1:])


def predict(head, layout, feat, last, links):
    """Fig. 7 for equal bodies whose clips need no padding in time."""
    batch, size = feat.shape[:2]
    for module in head.shrink:
        feat = block(module, layout, feat, links)
    feat = feat.mean(dim=2, keepdim=True)
    for module in (*head.narrow, head.last):
        feat = block(module, layout, torch.cat([feat, last.unsqueeze(2)], dim=-1), links)
    offset = feat.view(batch, size, head.future_frames, head.pose_feats)
    return last.unsqueeze(2) + offset
