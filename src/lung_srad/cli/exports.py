"""The verb that takes a trained model elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from lung_srad.cli.recordings import require_new


def export(
    model: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, a weights file, or one that ships.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A new FILE.onnx, or a new folder.")],
    given: Annotated[str, typer.Option("--input", help="What the graph takes: wave, or features.")] = "wave",
    check: Annotated[int, typer.Option(help="Inputs on which the graph is compared with the model.")] = 32,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the comparison as JSON; a new file.")
    ] = None,
) -> None:
    """Writes a model as one ONNX graph, compared with the model, or as a folder in the layout of Hugging Face.

    Example: lung-srad export runs/lung_srad/seed1 model.onnx --check 1000
    """
    import json

    from lung_srad.inference import export_folder, export_onnx, load
    from lung_srad.inference.results import write_text

    if target.suffix.lower() != ".onnx":
        export_folder(model, target)
        typer.echo(
            f"wrote {target}: model.safetensors, config.json, README.md; lung_srad.load({str(target)!r}) opens it"
        )
        return
    for path in filter(None, (target, report)):
        require_new(path)
    loaded = load(model)
    found = export_onnx(loaded, target, given=given, inputs=check)
    if report is not None:
        write_text(report, json.dumps({"sha256": loaded.sha256, **found.to_dict()}, indent=2) + "\n")
    typer.echo(f"{found}\nwrote {target}, {target.stat().st_size / 1e6:.1f} MB; {loaded.notice}")
