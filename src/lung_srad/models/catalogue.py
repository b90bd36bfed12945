"""Where the published weights of each backbone are. Nothing is fetched: an error that misses a file says this."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Official:
    """A published file or folder: its name, the page that offers it, its size and licence, as far as they are known.

    ``twin`` is the folder that its twin on the Hugging Face hub comes in.
    """

    file: str
    page: str
    size: str
    licence: str
    twin: str = ""

    def __str__(self) -> str:
        return f"{self.file} ({self.size}; licence: {self.licence}) from {self.page}"

    def within(self, folder: Path) -> Path | None:
        """Returns where it is in a folder of published files; None where it is not there."""
        places = (folder / name for name in (self.file, self.twin) if name)
        return next((place for place in places if place.exists()), None)


_AST = Official(
    "audioset_10_10_0.4593.pth",
    "the README of https://github.com/YuanGongND/ast, or the folder "
    "https://huggingface.co/MIT/ast-finetuned-audioset-10-10-0.4593",
    "about 350 MB",
    "BSD-3-Clause",
    twin="ast-finetuned-audioset-10-10-0.4593",
)
_CLAP = Official(
    "clap-htsat-unfused", "the folder https://huggingface.co/laion/clap-htsat-unfused", "about 615 MB", "Apache-2.0"
)

CATALOGUE: dict[str, Official] = {  # name of a backbone -> the file that its systems start from
    "dass_medium": Official(
        "DASS_medium_v2.pth",
        "https://github.com/Saurabhbhati/DASS/releases/tag/v0.2",
        "about 195 MB",
        "see the repository",
    ),
    "ast": _AST,
    "ast_adapter": _AST,
    "beats": Official(
        "BEATs_iter3_plus_AS2M.pt", "https://github.com/microsoft/unilm/tree/master/beats", "about 360 MB", "MIT"
    ),
    "clap": _CLAP,
    "clap_audio": _CLAP,
}
