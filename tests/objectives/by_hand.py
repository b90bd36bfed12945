"""The pieces of slow forms: one sample at a time, as the formulas say it."""

import torch


def cross_entropy(logits, label, of=None):
    """The mean over samples of -log p of their label."""
    losses = []
    for row, target in zip(logits, label.tolist(), strict=True):
        total = sum(value.exp() for value in row)
        losses.append(-(row[target].exp() / total).log())
    return sum(losses) / len(losses)


def unit(rows):
    return torch.stack([row / sum(value**2 for value in row).sqrt() for row in rows])


def projected(projector, rows):
    """Linear, batch norm with the biased variance of these rows, ReLU, Linear."""
    first, norm, _, last = projector
    hidden = torch.stack([first.weight @ row + first.bias for row in rows])
    mean = sum(hidden) / len(hidden)
    variance = sum((row - mean) ** 2 for row in hidden) / len(hidden)
    normed = [(row - mean) / (variance + 1e-5).sqrt() * norm.weight + norm.bias for row in hidden]
    return torch.stack([last.weight @ row.clamp_min(0) + last.bias for row in normed])


def mixed_cells(grid, mix):
    """Cell by cell: at the drawn positions sample i holds sample π(i); and the share that is its own."""
    out, (size, _, height, width) = grid.clone(), grid.shape
    for i in range(size):
        for place in mix.positions.tolist():
            h, w = divmod(place, width)
            out[i, :, h, w] = grid[mix.perm[i], :, h, w]
    return out, 1 - len(mix.positions) / (height * width)
