"""Text in rows and columns: what terminals, Markdown and pages draw."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sheet:
    """A title, rows of text under headings, and remarks below.

    Attributes:
        texts: number of leading columns that hold words; the others are figures and stand on the right.
    """

    heading: str
    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...] = ()
    texts: int = 2

    def markdown(self) -> str:
        """Returns the sheet as Markdown, heading and remarks included."""
        rule = ("---",) * self.texts + ("---:",) * (len(self.header) - self.texts)
        lines = [self.header, rule, *self.cells]
        body = "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
        parts = [f"**{self.heading}**"] if self.heading else []
        return "\n\n".join([*parts, body, *self.remarks]) + "\n"
