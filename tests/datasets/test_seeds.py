import subprocess
import sys

import pytest

from lung_srad.datasets import derive_seed


def test_every_part_and_its_place_counts():
    seeds = {derive_seed(*parts) for parts in [(), (0,), (1,), (0, 1), (1, 0), ("0",), ("0", "1"), ("01",), ("0,1",)]}
    assert len(seeds) == 9
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_seed_is_the_same_in_another_process():
    code = "from lung_srad.datasets import derive_seed; print(derive_seed(1, 'é', 2))"
    environment = {"PYTHONHASHSEED": "123", "OMP_NUM_THREADS": "1"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, env=environment)
    assert int(found.stdout) == derive_seed(1, "é", 2) == 3256193229501709716


def test_a_number_with_a_fraction_is_refused():
    with pytest.raises(TypeError):
        derive_seed(0.5)
