"""What schemathesis cannot read in OpenAPI: which bytes are a recording, where events end, what can be printed.

It is loaded by schemathesis itself, see test_openapi.py.
"""

import sys
from pathlib import Path

import schemathesis
from hypothesis import strategies

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from breathing import recording

RECORDINGS = strategies.sampled_from([recording(seconds, seed) for seed, seconds in enumerate((0.5, 1.0, 2.5))])
for kind in ("audio/wav", "application/octet-stream"):
    schemathesis.openapi.media_type(kind, RECORDINGS)
schemathesis.openapi.format("binary", RECORDINGS)


@schemathesis.hook
def filter_case(context, case) -> bool:
    """Returns whether a case is to be tried: not if its events would begin below where they end, or of such a name."""
    query = case.query or {}
    if not str(query.get("name", "")).isprintable():
        return False
    try:
        onset, offset = (float(query.get(name, usual)) for name, usual in (("onset", 0.5), ("offset", 0.3)))
    except (TypeError, ValueError):
        return True
    return not (0 < onset < offset < 1)
