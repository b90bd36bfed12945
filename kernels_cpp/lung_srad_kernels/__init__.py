"""The compiled kernels of Lung-SRAD. Users call :mod:`lung_srad.kernels`, which checks and registers them.

torch is imported first, so that its OpenMP runtime is the only one in the process.
"""

import torch  # noqa: F401

from lung_srad_kernels._kernels import *  # noqa: F403
