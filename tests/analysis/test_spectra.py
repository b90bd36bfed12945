"""Spectra of whole networks: what is averaged, what the two ways are, and what stands in the table."""

import csv
import io
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from lung_srad.analysis import authors_response, layer_spectrum, network_spectrum, spectra_csv
from lung_srad.analysis.spectra import scaled
from lung_srad.errors import ConfigError, ShapeError
from lung_srad.method import spectral_response
from lung_srad.models import Classifier, LayerMap, create_model, mixing_matrix


@pytest.fixture(scope="module")
def net() -> Classifier:
    torch.manual_seed(0)
    return create_model("dass_tiny").eval()


@pytest.fixture(scope="module")
def recordings() -> list[Tensor]:
    """Returns three recordings whose grid is 4 × 5 tokens in stage 2."""
    return list(torch.randn(3, 1, 1, 64, 80, generator=torch.Generator().manual_seed(1)))


PLACES = ((2, 1), (2, 3))


def test_responses_are_those_of_the_matrices(net, recordings):
    found = network_spectrum(net, recordings, name="tiny", places=PLACES)
    assert [layer.name for layer in found.layers] == ["stage 2, block 1", "stage 2, block 3"]
    layer = found.layers[1]
    assert (layer.grid, layer.line.shape, layer.plane.shape, layer.received.shape) == (
        (4, 5),
        (3, 20),
        (3, 4, 5),
        (3, 0),
    )
    for row, features in enumerate(recordings):
        M = mixing_matrix(net, features, stage=2, block=3)
        torch.testing.assert_close(layer.line[row], spectral_response(M))
        torch.testing.assert_close(layer.plane[row], spectral_response(M, (4, 5)))
    assert torch.equal(layer.line_share[:, 0], torch.ones(3))
    assert torch.equal(layer.plane_share[:, 0, 0], torch.ones(3))
    with_steps = network_spectrum(net, recordings[:1], name="tiny", places=PLACES[1:], delta=True)
    expected = spectral_response(mixing_matrix(net, recordings[0], stage=2, block=3, delta=True))
    torch.testing.assert_close(with_steps.layers[0].line[0], expected)


def test_a_flat_and_a_planted_response():
    """The identity treats all alike; a circulant of the grid has its own transfer function."""
    flat = layer_spectrum(LayerMap((0, 0), (4, 6), torch.eye(24)))
    assert torch.allclose(flat.plane_share, torch.ones(1, 4, 6))
    transfer = torch.full((4, 6), 0.1)
    transfer[0, 0], transfer[0, 2], transfer[0, 4] = 1, 0.7, 0.7
    F = torch.kron(*(torch.fft.fft(torch.eye(n, dtype=torch.float64)) for n in (4, 6)))
    M = (F.conj().T / 24 @ torch.diag(transfer.flatten().to(F.dtype)) @ F).real
    planted = layer_spectrum(LayerMap((0, 0), (4, 6), M))
    torch.testing.assert_close(planted.plane_share[0], transfer.double(), rtol=1e-6, atol=1e-6)
    assert planted.line_share[0, 8].item() > 0.5  # (0, 2) of the grid is bin 2 · 4 of the flattened tokens


def test_summary_tokens_stay_out_of_the_response_and_are_counted():
    matrix = torch.full((8, 8), 1 / 8)
    matrix[:, 0], matrix[:, 1] = 0.5, 0.25
    found = layer_spectrum(LayerMap((1,), (2, 3), matrix, summaries=2))
    assert found.received.tolist() == [[0.5, 0.25]]
    torch.testing.assert_close(found.line[0], spectral_response(matrix[2:, 2:]))


def test_the_authors_way(net, recordings):
    attention = torch.softmax(torch.randn(14, 14, generator=torch.Generator().manual_seed(0)), 1)
    curve = authors_response(attention, attention=True)
    torch.testing.assert_close(curve, scaled(spectral_response(attention.log())))
    assert (curve.min(), curve.max()) == (0, 1)
    scan = authors_response(attention, attention=False)
    assert not torch.allclose(scan, curve)
    torch.testing.assert_close(scan, scaled(spectral_response(scaled(attention))))
    found = network_spectrum(net, recordings[:1], name="tiny", places=PLACES, way="authors")
    assert found.layers[0].plane.shape == (1, 0, 0)
    assert found.layers[0].line.max() == 1
    assert torch.equal(scaled(torch.ones(3)), torch.zeros(3))
    row = next(csv.DictReader(io.StringIO(spectra_csv([found]))))
    assert (row["view"], row["bin_time"], row["share"]) == ("flattened", "0", row["response"])


def test_the_table_has_mean_deviation_and_classes(net, recordings):
    found = network_spectrum(
        net, recordings, name="tiny", places=PLACES[:1], labels=["normal", "wheeze", "wheeze"], note="random weights"
    )
    rows = list(csv.DictReader(io.StringIO(spectra_csv([found]))))
    line, plane = ([row for row in rows if row["view"] == view] for view in ("flattened", "grid"))
    assert (len(line), len(plane)) == (11, 4 * 3)
    share, layer = found.layers[0].plane_share, found.layers[0]
    one = next(row for row in plane if (row["bin_frequency"], row["bin_time"]) == ("3", "2"))
    assert float(one["share"]) == pytest.approx(share[:, 3, 2].mean().item(), rel=1e-4)
    assert float(one["share_deviation"]) == pytest.approx(share[:, 3, 2].std().item(), rel=1e-3)
    assert float(one["share_wheeze"]) == pytest.approx(share[1:, 3, 2].mean().item(), rel=1e-4)
    assert float(one["share_normal"]) == pytest.approx(share[0, 3, 2].item(), rel=1e-4)
    assert float(one["response"]) == pytest.approx(layer.plane[:, 3, 2].mean().item(), rel=1e-4)
    assert [one[key] for key in ("cycles_per_token_frequency", "cycles_per_token_time", "hertz")] == [
        "-0.25",
        "0.4",
        "0.25",  # two turns in 8 s
    ]
    assert (line[10]["cycles_per_token_time"], line[10]["hertz"], line[10]["recordings"]) == ("0.5", "", "3")


def test_wrong_requests_are_named(net, recordings):
    with pytest.raises(ConfigError, match="recordings: none"):
        network_spectrum(net, [], name="tiny")
    with pytest.raises(ShapeError, match=r"place: \(4, 0\)"):
        network_spectrum(net, recordings, name="tiny", places=[(4, 0)])
    with pytest.raises(ConfigError, match="only DASS, AST and BEATs"):
        network_spectrum(create_model("clap_audio_tiny"), recordings, name="clap")


@pytest.mark.parametrize(
    ("name", "share"), [("mixing_dass_stage2_block2", 0.3917), ("mixing_dass_stage2_block2_onedir", 0.5366)]
)
def test_scaling_a_curve_hides_its_floor(shared, name, share):
    """Scaled from 0 to 1 the peak of the authors' matrix is a little lower, and its floor a third of what it was."""
    M = torch.from_numpy(np.load(shared / "reference" / f"{name}.npy"))
    curve = spectral_response(M)
    assert scaled(curve)[1:].max().item() == pytest.approx(share, abs=1e-4)
    floor = (curve / curve[0]).median()
    assert scaled(curve).median() < floor / 3


COSTS = """
import resource, sys, time, torch
from lung_srad.analysis import choose_recordings, network_spectrum
from lung_srad.datasets import open_dataset
from lung_srad.models import create_model

net = create_model("dass_medium").eval()
recordings, _ = choose_recordings(net, open_dataset(sys.argv[1]), count=1)
start = time.process_time()
found = network_spectrum(net, recordings, name="medium", places=[(0, 0)])
assert found.layers[0].plane.shape == (1, 32, 256)
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


@pytest.mark.slow
def test_stage_0_of_dass_medium_in_time_and_memory(shared):
    """8,192 tokens, both responses: under 15 s of one thread's own time and 3 GB in all, on a recording of ICBHI.

    One thread, since threads that wait for each other on a busy machine count as work.
    """
    data = f"icbhi:{shared / 'data' / 'icbhi_subset'}"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", COSTS, data], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    seconds, gigabytes = map(float, run.stdout.split())
    assert seconds < 15
    assert gigabytes < 3
