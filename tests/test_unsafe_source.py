"""Nothing in the package executes what it reads, and the walk that says so finds every planted danger."""

import sys
from pathlib import Path

import pytest

import lung_srad

sys.path.insert(0, str(Path(__file__).parent))
from unsafe_source import unsafe

SOURCE = Path(lung_srad.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_nothing_executes_what_it_reads(path: Path) -> None:
    assert list(unsafe(path.read_text(encoding="utf-8"))) == []


def test_the_whole_package_is_walked() -> None:
    assert len(MODULES) > 150
    assert {"models/weights.py", "serving/uploads.py", "cli/runs.py"} <= {
        path.relative_to(SOURCE).as_posix() for path in MODULES
    }


DANGERS = {
    "torch.load(f)": "torch.load",
    "torch.load(f, weights_only=False)": "torch.load",
    "torch.load(f, weights_only=safe)": "torch.load",
    "torch.load(f, weights_only=not False)": "torch.load",
    "torch.load(f, **options)": "torch.load",
    "torch.load(f, weights_only=True, **options)": "torch.load",
    "import torch as t\nt.load(f)": "torch.load",
    "import torch.serialization as s\ns.load(f, weights_only=False)": "torch.serialization.load",
    "from torch import serialization\nserialization.load(f)": "torch.serialization.load",
    "from torch import load": "torch.load",
    "from torch import jit\njit.load(f)": "torch.jit.load",
    "torch.jit.load(f)": "torch.jit.load",
    "torch.hub.load('a/b', 'c')": "torch.hub.load",
    "torch.ops.load_library(f)": "torch.ops.load_library",
    "getattr(torch, 'load')(f)": "torch.load",
    "import pickle\npickle.loads(b)": "pickle.loads",
    "import pickle\npickle.Unpickler(f).load()": "pickle.Unpickler",
    "from pickle import loads": "pickle.loads",
    "from pickle import UnpicklingError, loads": "pickle.loads",
    "import pickle as p": "pickle",
    "import _pickle": "_pickle",
    "import dill": "dill",
    "import joblib": "joblib",
    "from joblib import load": "joblib.load",
    "import shelve": "shelve",
    "import marshal": "marshal",
    "import_module('joblib')": "import_module(joblib)",
    "import importlib\nimportlib.import_module('yaml')": "importlib.import_module(yaml)",
    "def f():\n    from yaml import load": "yaml.load",
    "import yaml": "yaml",
    "eval(text)": "eval",
    "exec(text)": "exec",
    "compile(text, '', 'exec')": "compile",
    "__import__(name)": "__import__",
    "import builtins\nbuiltins.eval(text)": "eval",
    "from builtins import eval as safe\nsafe(text)": "eval",
    "list(map(eval, texts))": "eval, handed on",
    "run = exec": "exec, handed on",
    "import os\nos.system(text)": "os.system",
    "from os import system": "os.system",
    "from os import popen as p": "os.popen",
    "import os\nos.execv(path, [])": "os.execv",
    "import runpy\nrunpy.run_path(f)": "runpy.run_path",
    "import subprocess\nsubprocess.run(text, shell=True)": "subprocess.run(shell)",
    "import subprocess as s\ns.Popen(text, shell=quick)": "subprocess.Popen(shell)",
    "from subprocess import run\nrun(text, shell=True)": "subprocess.run(shell)",
    "import subprocess\nsubprocess.getoutput(text)": "subprocess.getoutput",
    "np.load(f, allow_pickle=True)": "np.load(allow_pickle)",
    "import numpy as np\nnp.load(f, None, True)": "numpy.load(allow_pickle)",
    "import numpy as np\nnp.load(f, allow_pickle=flag)": "numpy.load(allow_pickle)",
    "import pandas as pd\npd.read_pickle(f)": "pandas.read_pickle",
    "Model.from_pretrained(f, trust_remote_code=True)": "Model.from_pretrained(trust_remote_code)",
    "import tarfile\ntarfile.open(f).extractall(d)": "tarfile.open(f).extractall, which writes where an archive says",
    "import shutil\nshutil.unpack_archive(f)": "shutil.unpack_archive, which writes where an archive says",
}


@pytest.mark.parametrize("text", DANGERS)
def test_a_planted_danger_is_caught(text: str) -> None:
    assert DANGERS[text] in set(unsafe(text))


@pytest.mark.parametrize("text", DANGERS)
def test_a_danger_is_caught_in_the_middle_of_a_module(text: str) -> None:
    lines = "\n".join(f"            {line}" for line in text.splitlines())
    inside = f"class A:\n    def f(self):\n        if self.x:\n{lines}\n        return json.load(self.y)\n"
    assert DANGERS[text] in set(unsafe(inside))


@pytest.mark.parametrize(
    "text",
    [
        "model.eval(); self.compile(x); torch.compile(net)",
        "torch.load(f, weights_only=True)",
        "import torch as t\nt.load(f, map_location='cpu', weights_only=True)",
        "import re\nre.compile(x)",
        "np.load(f); np.load(f, 'r'); np.load(f, allow_pickle=False)",
        "json.load(f); tl.load(pointers, mask, other=0)",
        "import pickle\ntry: pass\nexcept pickle.UnpicklingError: pass",
        "from pickle import UnpicklingError",
        "import subprocess\nsubprocess.run(['git', 'status'], shell=False)",
        "getattr(torch, name); getattr(error, 'strerror', None)",
        "'eval(text)'  # eval(text)",
    ],
)
def test_harmless_calls_are_not_caught(text: str) -> None:
    assert list(unsafe(text)) == []
