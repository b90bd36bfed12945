"""A network made ready for forward passes: weights laid out for them once, and less precision on request."""

from copy import deepcopy

import torch

from lung_srad.errors import ConfigError, message
from lung_srad.kernels.linear import packed, product_dtype
from lung_srad.models.contract import Classifier
from lung_srad.models.vmamba import SS2D, TILE, Conv2d, LayerNorm, Linear, Mlp, VMamba

DTYPES = (torch.float32, torch.bfloat16)


def for_inference(net: Classifier, dtype: torch.dtype = torch.float32) -> Classifier:
    """Returns a copy for forward passes only, with its MLPs in ``dtype``; its weights are not to be changed.

    Linear layers of DASS are packed for oneDNN and its convolutions laid out with channels last. The MLPs are four
    fifths of the work of a block; in bfloat16 everything around them stays in float32 (DECISIONS: half-precision).
    Numbers in float32 are those of ``net``. Other backbones stay as they are, in float32.

    Raises:
        ConfigError: another dtype than float32 and, of DASS, bfloat16, or a network that is such a copy already.
    """
    if dtype not in DTYPES:
        allowed = " or ".join(map(str, DTYPES))
        raise ConfigError(message("for_inference: dtype", str(dtype), allowed, "float16 and less would overflow"))
    if dtype != torch.float32 and not isinstance(net.backbone, VMamba):
        allowed = f"{type(net.backbone).__name__} runs in torch.float32"
        raise ConfigError(message("for_inference: dtype", str(dtype), allowed, "bfloat16 is for DASS"))
    if any(isinstance(module, Linear) and module.packed is not None for module in net.modules()):
        seen, remedy = "a network that is frozen already", "freeze the one that it was made from"
        raise ConfigError(message("for_inference: net", seen, "a network with its own weights", remedy))
    net = deepcopy(net).eval().requires_grad_(False)
    products = product_dtype(dtype, next(net.parameters()).device)
    for module in net.modules():
        if isinstance(module, SS2D):
            module.A = module.scan_parameters()[2]
        elif isinstance(module, LayerNorm):
            module.product_dtype = products
        elif isinstance(module, Mlp):
            module.to(dtype).to(products)  # the weights are rounded wherever it runs
        elif isinstance(module, Conv2d):
            module.to(memory_format=torch.channels_last)
    for module in net.modules():
        if isinstance(module, Linear):
            module.packed = packed(module.weight, TILE)
    return net
