"""Draws docs/method.png: what the method sees in a network, and what it does to a batch.

    python docs/picture.py --data icbhi:ICBHI_FOLDER --matrices FOLDER

FOLDER holds the matrices that the paper's authors published: attention_ast_layer4.npy, mixing_dass_stage2_block2.npy.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import lung_srad as ls
from lung_srad.datasets import open_dataset
from lung_srad.method import AxisMix, apply_mix

BLUE, RED, INK = "#2166ac", "#c0392b", "#333333"


def pair(dataset) -> list:
    """Returns a crackle cycle and a wheeze cycle of the test part, of a length that repeats little."""
    cycles = [c for c in dataset.cycles("test") if 3.0 < c.end - c.start < 5.0]
    crackle = next(c for c in cycles if dataset.class_names[c.label] == "crackle" and c.device == "Meditron")
    wheeze = next(c for c in cycles if dataset.class_names[c.label] == "wheeze" and c.device == "Meditron")
    return [crackle, wheeze]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--matrices", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("method.png"))
    args = parser.parse_args()
    waves = [ls.audio.load_cycle(c.path, c.start, c.end) for c in pair(open_dataset(args.data))]
    frontend = ls.audio.Frontend()
    spectra = frontend.shape(frontend.normalize(frontend.spectrogram(torch.stack(waves))))  # (2, 1, 128, 1024)
    swap = torch.tensor([1, 0])
    time = AxisMix("time", start=512, width=320, perm=swap, lam=1 - 320 / 1024, lam_drawn=0.69)
    freq = AxisMix("freq", start=16, width=40, perm=swap, lam=1 - 40 / 128, lam_drawn=0.69)
    panels = {
        "a cycle with crackles": spectra[0, 0],
        "a cycle with wheezes": spectra[1, 0],
        "mixed along time (Eq. 6)": apply_mix(spectra, time)[0, 0],
        "mixed along frequency (Eq. 7)": apply_mix(spectra, freq)[0, 0],
    }
    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK, "axes.edgecolor": "#999999"})
    figure = plt.figure(figsize=(10, 3.7), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=[1, 1, 1.05])
    for index, (title, image) in enumerate(panels.items()):
        axes = figure.add_subplot(grid[index // 2, index % 2])
        axes.imshow(
            image.numpy(), origin="lower", aspect="auto", cmap="magma", vmin=-1, vmax=1.2, extent=(0, 8, 0, 128)
        )
        axes.set_title(title, loc="left", fontsize=9)
        axes.set_yticks([0, 64, 128])
        axes.set_xticks(range(0, 9, 2))
        if index % 2 == 0:
            axes.set_ylabel("mel bin")
        if index > 1:
            axes.set_xlabel("time (s)")
    axes = figure.add_subplot(grid[:, 2])
    for name, label, colour in (
        ("attention_ast_layer4.npy", "AST, attention of layer 4", RED),
        ("mixing_dass_stage2_block2.npy", "DASS, scan of stage 2, block 2", BLUE),
    ):
        matrix = torch.from_numpy(np.load(args.matrices / name)).double()
        curve = ls.spectral_response(matrix)[: len(matrix) // 2]
        axes.plot(np.linspace(0, 0.5, len(curve)), curve / curve[0], color=colour, linewidth=1, label=label)
    axes.set(xlabel="frequency over tokens (cycles per token)", yscale="log", xlim=(0, 0.5), ylim=(1e-3, 1.3))
    axes.set_title("what a layer lets through, as a share of DC", loc="left", fontsize=9)
    axes.legend(frameon=False, loc="upper right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(args.out, dpi=160)


if __name__ == "__main__":
    main()
