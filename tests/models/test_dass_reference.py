"""DASS against values that the upstream implementation computed in float64 with weights from ``fill.py``."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lung_srad import kernels
from lung_srad.models import Classifier, create_model
from lung_srad.models.frozen import for_inference

CASES = {"dass_small": ("dass_small_2x128x256", 7), "dass_medium": ("dass_medium_1x128x1024", 11)}
LOGITS = {torch.float32: 5e-6, torch.float64: 1e-9}
BACKENDS = [name for name in kernels.available() if name != "triton" or torch.cuda.is_available()]  # not interpreted
WAYS = [(torch.float64, "torch"), *((torch.float32, name) for name in BACKENDS)]


def device(backend: str) -> str:
    return "cpu" if kernels.BACKENDS[backend].runs_on("cpu") else "cuda"


@pytest.fixture(scope="module")
def fill(shared: Path) -> Callable[[str, tuple[int, ...]], np.ndarray]:
    spec = importlib.util.spec_from_file_location("fill", shared / "reference" / "fill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fill


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, shared: Path, fill: Callable) -> tuple[Classifier, Tensor, dict]:
    """Returns the network in eval mode, its input (float64) and the reference values."""
    file, seed = CASES[request.param]
    net = create_model(request.param).eval()
    # rounded to float32 in both precisions, as for the reference
    net.load_state_dict({key: torch.from_numpy(fill(key, (*x.shape,))).float() for key, x in net.state_dict().items()})
    with np.load(shared / "reference" / f"{file}.npz") as reference:
        values = dict(reference)
    shape = [int(x) for x in file.rpartition("_")[2].split("x")]
    features = torch.from_numpy(np.random.default_rng(seed).standard_normal((shape[0], 1, *shape[1:])))
    return net, features, values


@pytest.mark.parametrize(("dtype", "backend"), WAYS, ids=str)
def test_forward_and_backward(case: tuple[Classifier, Tensor, dict], dtype: torch.dtype, backend: str):
    net, features, reference = case
    net, features = net.to(device(backend), dtype), features.to(device(backend), dtype).clone().requires_grad_()
    seen = {}
    hooks = [module.register_forward_hook(keep(seen, name)) for name, module in stages(net).items()]
    with kernels.use(backend):
        logits = net(features)
        loss = F.cross_entropy(logits, torch.arange(len(features), device=logits.device) % 4)
        net.zero_grad()
        loss.backward()
    for hook in hooks:
        hook.remove()

    close = LOGITS[dtype]
    np.testing.assert_allclose(logits.detach().cpu(), reference["logits"], rtol=0, atol=close)
    np.testing.assert_allclose(loss.item(), reference["loss"], rtol=0, atol=close)
    for name, (mean, std) in seen.items():
        np.testing.assert_allclose(mean, reference[f"{name}_mean"], rtol=0, atol=10 * close)
        np.testing.assert_allclose(std, reference[f"{name}_std"], rtol=0, atol=10 * close)

    # in float32, summing the squares of a large gradient loses more digits than computing it
    norms = {name: parameter.grad.double().norm().item() for name, parameter in net.named_parameters()}
    assert sorted(norms) == sorted(reference["grad_names"])
    computed = [norms[name] for name in reference["grad_names"]]
    np.testing.assert_allclose(computed, reference["grad_norms"], rtol=1e-5 if dtype == torch.float32 else 1e-9)
    expected = reference["input_grad"]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(features.grad[:, :, ::8, ::16].cpu() / scale, expected / scale, rtol=0, atol=10 * close)


@pytest.mark.parametrize("backend", BACKENDS)
def test_bfloat16(case: tuple[Classifier, Tensor, dict], backend: str):
    net, features, reference = case
    net, features = net.to(device(backend), torch.float32), features.to(device(backend), torch.float32)
    with torch.no_grad(), kernels.use(backend):
        with torch.autocast(device(backend), torch.bfloat16):
            autocast = net(features)
        half = for_inference(net, torch.bfloat16)(features)
    for logits in (autocast, half):
        error = np.abs(logits.double().cpu().numpy() - reference["logits"]).max()
        assert error <= 1e-2 * np.abs(reference["logits"]).max()


@pytest.mark.parametrize("backend", BACKENDS)
def test_inference_mode_gives_the_same_values(case: tuple[Classifier, Tensor, dict], backend: str):
    net, features, reference = case
    net, features = net.to(device(backend), torch.float32), features.to(device(backend), torch.float32)
    with torch.inference_mode(), kernels.use(backend):
        logits = for_inference(net)(features)
    np.testing.assert_allclose(logits.cpu(), reference["logits"], rtol=0, atol=LOGITS[torch.float32])


def stages(net: Classifier) -> dict[str, torch.nn.Module]:
    backbone = net.backbone
    return {"stem": backbone.patch_embed, **{f"layer{i}": stage for i, stage in enumerate(backbone.layers)}}


def keep(seen: dict[str, tuple[Tensor, Tensor]], name: str) -> Callable[..., None]:
    def hook(module: torch.nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        output = output.detach().cpu()  # (B, H, W, C)
        seen[name] = output.mean((1, 2)), output.std((1, 2))

    return hook


@pytest.mark.parametrize("name", CASES)
def test_names_and_shapes_are_the_official_ones(shared: Path, name: str):
    official = json.loads((shared / "reference" / f"{name}_state_dict.json").read_text())
    with torch.device("meta"):
        net = create_model(name)
    assert {key: list(x.shape) for key, x in net.state_dict().items()} == official
    assert {key: list(x.shape) for key, x in net.named_parameters()} == official
