"""The command ``lung-srad``: a verb parses, makes one call of the API and prints.

A new verb is a function in a module of this folder and a line in ``VERBS``. Its docstring is its help and
ends with an example; what it needs is imported inside it, so that ``--help`` stays quick.

Exit codes: 0; 1 for input to be mended (one line, ``error: ...``); 2 for wrong usage; 130 if stopped.
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer
from typer.core import TyperGroup

from lung_srad.cli.data import check, simulate
from lung_srad.cli.demo import demo
from lung_srad.cli.exports import export
from lung_srad.cli.insight import calibrate, embed, explain
from lung_srad.cli.machine import doctor
from lung_srad.cli.recordings import classify
from lung_srad.cli.reports import compare, report
from lung_srad.cli.runs import evaluate, train
from lung_srad.cli.serving import serve
from lung_srad.cli.spectra import spectrum
from lung_srad.cli.sweeps import sweep
from lung_srad.cli.tables import presets, table
from lung_srad.errors import LungSradError, message
from lung_srad.memory import keep_memory, ran_out

__all__ = ["app", "main"]

VERBS: dict[str, Callable[..., None]] = {
    "calibrate": calibrate,
    "check": check,
    "classify": classify,
    "compare": compare,
    "demo": demo,
    "doctor": doctor,
    "embed": embed,
    "evaluate": evaluate,
    "explain": explain,
    "export": export,
    "presets": presets,
    "report": report,
    "serve": serve,
    "simulate": simulate,
    "spectrum": spectrum,
    "sweep": sweep,
    "table": table,
    "train": train,
}


_NO_MEMORY = message(
    "this process",
    "there is not enough memory",
    "work that fits",
    "give the command fewer --workers or a smaller batch (training.batch_size), or split long recordings",
)


class _Verbs(TyperGroup):
    """The one place where an error becomes a line and an exit code."""

    def invoke(self, ctx: typer.Context) -> object:
        """Returns what the verb returns, or leaves with 1 or 130 and one line on stderr."""
        try:
            return super().invoke(ctx)
        except LungSradError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from error
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            typer.echo(f"error: {_NO_MEMORY}", err=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            typer.echo("stopped", err=True)
            raise typer.Exit(130) from error


app = typer.Typer(
    name="lung-srad",
    help="Respiratory sound classification with the systems of the Lung-SRAD paper.",
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # an error that is not ours keeps its plain traceback
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("lung-srad"))
        raise typer.Exit


@app.callback()
def _options(
    print_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for _name, _verb in VERBS.items():
    app.command(_name)(_verb)


def main() -> None:
    """Runs the command line and leaves with its exit code."""
    keep_memory()
    app()
