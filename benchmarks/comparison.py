"""Real recordings beside simulated ones, in tables."""

import numpy as np
from sklearn.metrics import roc_auc_score

from hearing import Heard
from lung_srad.datasets.icbhi_files import DEVICES
from page import table

NOTE = """\
Audio; real recordings are the part of ICBHI that was given, at most as loud and as sharp as they were released.
*Clicks* is how far the 98th percentile of 32 ms frames exceeds the median of the 0.3 s around it (200 to 1,200 Hz);
*tones* how far a peak that lasts 0.1 s stands out of the 170 Hz on either side (200 to 1,100 Hz); *breath* the
deviation of the level between 150 and 800 Hz over a cycle; all in dB, 25 / 50 / 75 % of cycles. The areas under the
curve say how well one of these numbers alone tells cycles with a crackle (a wheeze) from those without, on that device.
"""


def quartiles(values: np.ndarray) -> str:
    """Returns the quartiles, or nothing where there are few values."""
    return "" if len(values) < 5 else " / ".join(f"{value:.0f}" for value in np.percentile(values, (25, 50, 75)))


def area(truth: np.ndarray, values: np.ndarray) -> str:
    """Returns the area under the curve, or nothing where one side is small."""
    return f"{roc_auc_score(truth, values):.2f}" if min(truth.sum(), (~truth).sum()) >= 10 else ""


def contrast_rows(heard: Heard, device: str) -> dict[str, str]:
    """Returns what the events and the breath of a device are like."""
    here = heard.device == device
    label, click, tone = heard.label[here], heard.click[here], heard.tone[here]
    crackle, wheeze = (label & 1) > 0, label > 1
    return {
        "level, dB": quartiles(heard.level[here]),
        "breath": quartiles(heard.breath[here]),
        "clicks, normal": quartiles(click[label == 0]),
        "clicks, crackle or both": quartiles(click[crackle]),
        "clicks, area": area(crackle, click),
        "tones, normal": quartiles(tone[label == 0]),
        "tones, wheeze or both": quartiles(tone[wheeze]),
        "tones, area": area(wheeze, tone),
    }


def contrasts(real: Heard, simulated: Heard) -> str:
    """Returns the table of contrasts, real above simulated for each device."""
    lines = []
    for device in DEVICES:
        for heard, name in ((real, "real"), (simulated, "simulated")):
            rows = contrast_rows(heard, device)
            lines.append([device, name, *rows.values()])
    return f"{NOTE}\n{table(['device', '', *rows], lines)}"
