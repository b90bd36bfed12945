"""A start for VMamba from random weights: the loudness of the input passes through every norm."""

import torch
from torch import nn

BIAS = 3.0  # of convolutions, in units of what their weights make of the input
NOISE = (16, 1, 128, 128)  # stands for normalised spectrograms (B, 1, mel, frames), whose deviation is
DEVIATION = 0.5
LEAST = 0.05  # deviation of a channel that is scaled up


def centre(network: nn.Module) -> None:
    """Sets biases and norms so that channels begin with mean 0 and deviation 1 over tokens, and keep the loudness.

    A layer norm over channels takes from each token how loud it is: of a spectrogram with one channel that is most of
    what there is. Biases of alternating sign that are large beside the product make the norm nearly linear in it, and
    the norm's own weight and bias take away again what is the same for every token. What is measured for that is
    measured on noise, so that the start depends on torch's generator alone. DECISIONS: centred-start

    Args:
        network: takes (B, 1, 128, frames); its layers are those of VMamba.
    """
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                sign = 1 - 2 * (torch.arange(len(layer.bias)) % 2)
                layer.bias.copy_(BIAS * sign)
        norms = [layer for layer in network.modules() if isinstance(layer, nn.LayerNorm)]
        hooks = [norm.register_forward_pre_hook(_measure) for norm in norms]
        training = network.training
        try:
            network.eval()(DEVIATION * torch.randn(NOISE))
        finally:
            network.train(training)
            for hook in hooks:
                hook.remove()


def _measure(norm: nn.LayerNorm, given: tuple[torch.Tensor, ...]) -> None:
    """Sets a norm's weight and bias by what comes in, before it is applied."""
    tokens = torch.nn.functional.layer_norm(given[0].float(), norm.normalized_shape, eps=norm.eps).flatten(0, -2)
    mean, deviation = tokens.mean(0), tokens.std(0).clamp_min(LEAST)
    norm.weight.copy_(1 / deviation)
    norm.bias.copy_(-mean / deviation)
