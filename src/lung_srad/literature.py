"""What the literature prints of a system, and systems that are nothing but several seeds of another."""

from pydantic import BaseModel, ConfigDict, Field

from lung_srad.shipped import ensemble_text, parse_toml

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"  # what a folder may be called


class Strict(BaseModel):
    """A table of a file: frozen, no key that is not known, no value of another type."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Figures(Strict):
    """Printed scores in per cent; a standard deviation is over seeds."""

    sp: float
    se: float
    score: float
    sp_std: float | None = None
    se_std: float | None = None
    score_std: float | None = None


class Printed(Strict):
    """What the literature prints for a system, and where.

    ``note`` goes with all of it, ``two_class_note`` with the two-class figures alone.
    """

    source: str
    four_class: Figures | None = None
    two_class: Figures | None = None
    note: str = ""
    two_class_note: str = ""

    @property
    def figures(self) -> Figures | None:
        """Those by which the system is known: of four classes, if there are any."""
        return self.four_class or self.two_class


class Ensemble(Strict):
    """Several seeds of one preset as one system: their answers are averaged, and nothing else is trained.

    ``size`` is the published number of members.
    """

    name: str = Field(pattern=NAME)
    title: str
    members: str
    size: int = Field(ge=2)
    printed: Printed


def load_ensemble(name: str) -> Ensemble:
    """Returns a shipped ensemble.

    Raises:
        ConfigError: no such ensemble.
    """
    return Ensemble.model_validate(parse_toml(ensemble_text(name), name))
