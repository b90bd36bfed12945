"""A small convolutional network from scratch, on log-mel spectra that lost each bin's mean over time."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from hearing import Heard
from timing import say

EPOCHS, BATCH, RATE = 12, 32, 2e-3


def stage(inputs: int, outputs: int, stride: tuple[int, int]) -> nn.Sequential:
    """Returns a convolution that shrinks the image, its norm and its activation."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class SmallCNN(nn.Module):
    """Four convolutions, mean and maximum over the image, one linear layer: (B, 1, 64 mel, T) -> (B, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            stage(1, 16, (2, 1)), stage(16, 32, (2, 2)), stage(32, 64, (2, 2)), stage(64, 96, (2, 2))
        )
        self.head = nn.Linear(2 * 96, classes)

    def forward(self, spectra: torch.Tensor) -> torch.Tensor:
        """Returns logits."""
        image = self.body(spectra)  # (B, 96, 4, T / 8)
        pooled = torch.cat([image.mean((2, 3)), image.mean(2).amax(2)], dim=1)
        return self.head(F.dropout(pooled, 0.3, self.training))


def normalised(spectra: np.ndarray) -> torch.Tensor:
    """Returns an image of which each mel bin lost its mean over time: (B, mel, T) -> (B, 1, mel, T)."""
    image = torch.from_numpy(spectra.astype(np.float32))
    centred = image - image.mean(2, keepdim=True)
    return (centred / (2 * centred.std((1, 2), keepdim=True).clamp_min(1e-4)))[:, None]


def augmented(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Returns the batch rolled in time, with one band of frequencies and one of times put to the mean."""
    draws = torch.rand(4, generator=generator).tolist()
    mels, frames = images.shape[2:]
    images = images.roll(int(draws[0] * frames), 3)
    first, start = int(draws[1] * (mels - 8)), int(draws[2] * (frames - 50))
    images[:, :, first : first + int(8 * draws[3])] = 0
    images[..., start : start + int(50 * draws[3])] = 0
    return images


def predict_with_cnn(heard: Heard, train: np.ndarray, test: np.ndarray, seed: int, name: str) -> np.ndarray:
    """Returns the classes of the test cycles after the last epoch of training; nothing is chosen on the test part."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    labels = torch.from_numpy(heard.label)
    counts = torch.bincount(labels[train]).float()
    net = SmallCNN(len(counts)).to(memory_format=torch.channels_last)
    weights = (counts.sum() / counts / len(counts)).sqrt()
    steps = EPOCHS * (len(train) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps)
    for epoch in range(EPOCHS):
        order = torch.from_numpy(train)[torch.randperm(len(train), generator=generator)]
        losses = []
        for chosen in order[: len(order) // BATCH * BATCH].split(BATCH):
            images = augmented(normalised(heard.spectra[chosen]), generator)
            loss = F.cross_entropy(net(images.to(memory_format=torch.channels_last)), labels[chosen], weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        say(f"{name}: CNN, seed {seed}, epoch {epoch + 1} of {EPOCHS}, training loss {np.mean(losses):.3f}")
    net.eval()
    with torch.inference_mode():
        parts = np.array_split(test, max(1, len(test) // 64))
        return np.concatenate([net(normalised(heard.spectra[part])).argmax(1).numpy() for part in parts])
