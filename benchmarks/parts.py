"""docs/results.md in parts, each written by a script of its own; the others stay as they are."""

import re
from pathlib import Path

_MARK = re.compile(r"^<!-- what follows: .+ -->$", re.MULTILINE)


def write_part(page: Path, mark: str, text: str) -> None:
    """Writes one part of a page, from its mark to the next one; "" is what stands before every mark."""
    before = page.read_text(encoding="utf-8") if page.is_file() else ""
    bodies = dict(zip(["", *_MARK.findall(before)], _MARK.split(before), strict=True))
    bodies[mark] = text
    parts = (
        f"{name}\n{body.strip()}\n" if name else f"{body.strip()}\n" for name, body in bodies.items() if body.strip()
    )
    page.write_text("\n".join(parts), encoding="utf-8")
