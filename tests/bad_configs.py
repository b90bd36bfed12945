"""Every kind of bad configuration and command line, 20, each with what the command says before it leaves with 1."""

from collections.abc import Callable
from dataclasses import dataclass

from lung_srad.preset_files import preset_text

ALIAS_BOMB = "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9) if level else 'x'}]\n" for level in range(9)
)


@dataclass(frozen=True)
class Kind:
    """One row.

    Attributes:
        arguments: of ``lung-srad``; ``{file}`` stands for the file, ``{folder}`` for the folder that it is in.
        words: of the one line on stderr.
        content: of the file.
    """

    arguments: tuple[str, ...]
    words: str
    content: bytes = b""


def override(text: str, words: str) -> Kind:
    return Kind(("presets", "lung_srad", "--set", text), words)


def file(change: Callable[[str], str], words: str) -> Kind:
    """Returns a row with a preset of one's own, made from a shipped one."""
    return Kind(("presets", "{file}"), words, change(preset_text("lung_srad")).encode())


CONFIGS: dict[str, Kind] = {
    "unknown key": override("training.epoch=1", "lung_srad.toml: unknown key 'training.epoch'; did you mean 'epochs'?"),
    "wrong type": override("training.epochs=many", "training.epochs = 'many'"),
    "learning rate 0": override("optimizer.learning_rate=0", "optimizer.learning_rate = 0; Input should be greater"),
    "learning rate -1": override("optimizer.learning_rate=-1", "learning_rate = -1; Input should be greater than 0"),
    "learning rate NaN": override("optimizer.learning_rate=nan", "optimizer.learning_rate = nan"),
    "batch of 0": override("training.batch_size=0", "batch_size = 0; Input should be greater than or equal to 2"),
    "batch of 1e9": override("training.batch_size=1000000000", "Input should be less than or equal to 65536"),
    "more mels than bins": override("backbone.mels=1024", "backbone: unknown key 'mels'; dass_medium takes"),
    "beyond Nyquist": override("backbone.high_hz=20000", "backbone: unknown key 'high_hz'; dass_medium takes"),
    "0 epochs": override("training.epochs=0", "training.epochs = 0; Input should be greater than or equal to 1"),
    "key twice": file(lambda text: text.replace("epochs = 50", "epochs = 50\nepochs = 51"), "mine.toml: not TOML"),
    "what YAML would run": file(
        lambda text: "title: !!python/object/apply:os.system ['touch {folder}/canary']\n", "mine.toml: not TOML"
    ),
    "10 MB": file(lambda text: text + "x = 1\n" * 1_700_000, "mine.toml: is longer than any preset"),
    "nested deeply": file(lambda text: f"title = {'[' * 100_000}\n", "mine.toml: not TOML"),
    "alias bomb": file(lambda text: ALIAS_BOMB, "mine.toml: not TOML"),
    "path with ..": Kind(("presets", "lung_srad", "--profile", "../../config"), "profile: '../../config'; shipped:"),
    "output that cannot be written": Kind(
        ("simulate", "{file}/sounds", "--size", "tiny", "--workers", "1"), "mine.toml"
    ),
    "output that is there": Kind(("export", "demo", "{folder}"), "is there already; a new or empty folder"),
    "environment not set": Kind(("train", "lung_srad", "--data", "table:{file}"), "no weights to start from"),
    "class map without a class": Kind(
        ("report", "--import", "{file}", "--data", "icbhi:{corpus}", "--out", "{folder}/report"),
        "columns",
        b"id,p_normal,p_crackle,p_wheeze\n101_1b1_Al_sc_Meditron#0,0.2,0.3,0.5\n",
    ),
}
