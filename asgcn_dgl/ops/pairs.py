"""Temporary."""
import torch.nn.functional as F
def dense_links(group, weight):
    if group.edges is not None:
        weight = weight.index_select(0, group.edges)
    u, j, c = group.units, group.joints, weight.shape[1]
    if j == 1:
        return weight.new_zeros(u, c, 1, 1)
    w = weight.view(u, j - 1, j, c).permute(0, 3, 1, 2)
    w = F.pad(F.pad(w, (0, 1)).flatten(2), (1, 0))
    return w.view(u, c, j, j)
