"""One stable source of seeds: every random draw of a run derives from (seed, purpose, epoch, index)."""

import hashlib
from operator import index


def derive_seed(*parts: int | str) -> int:
    """Returns a seed in [0, 2^63) that depends on every part and on nothing else.

    Python's own ``hash`` changes from process to process; SHA-256 gives the same seed in every worker,
    on every machine and after every restart.

    >>> derive_seed(1, "augment", 0, 7) == derive_seed(1, "augment", 0, 7)
    True
    >>> derive_seed(1, "augment", 0, 7) == derive_seed(1, "augment", 7, 0)
    False

    Raises:
        TypeError: a part is neither a whole number nor a string.
    """
    text = repr([part if isinstance(part, str) else index(part) for part in parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
