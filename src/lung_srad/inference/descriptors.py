"""What a sound is like in a few numbers, whatever its level: colour, slow and fast changes of 16 bands.

A network that was made blind to the colour of a stethoscope cannot tell hum from breath by its features alone.
"""

import numpy as np

BANDS = 16
BLOCK = 20  # frames, 0.2 s: longer than a crackle, shorter than a breath


def describe(spectrogram: np.ndarray) -> np.ndarray:
    """Returns three numbers of each band of a log-mel spectrogram that is not normalised: (T, mel) -> (48,).

    Its mean over time, less the mean over all bands; how much it changes from 0.2 s to 0.2 s, as breath does; and how
    much it changes within them.
    """
    frames, mels = spectrogram.shape
    bands = spectrogram[:, : mels // BANDS * BANDS].reshape(frames, BANDS, -1).mean(2)
    colour = bands.mean(0)
    size = min(BLOCK, frames)
    blocks = bands[: frames // size * size].reshape(-1, size, BANDS)  # (blocks, frames, bands)
    slow, fast = blocks.mean(1).std(0), np.sqrt(blocks.var(1).mean(0))
    return np.concatenate([colour - colour.mean(), slow, fast])
