"""The verb that answers over HTTP."""

import os
from typing import Annotated

import typer


def serve(
    model: Annotated[
        str, typer.Argument(metavar="[RUN]", help="A model that ships, a run's folder, or a weights file.")
    ] = "demo",
    host: Annotated[
        str, typer.Option(help="Address to listen on; another than 127.0.0.1 needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8000,
    origin: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="An address under which a proxy shows the service.")
    ] = None,
    max_megabytes: Annotated[float, typer.Option(min=0.001, help="MiB of one recording.")] = 200,
    max_seconds: Annotated[float, typer.Option(min=1, help="Length of one recording.")] = 3600,
    queue: Annotated[int, typer.Option(min=1, help="Requests with an answer coming; more get 503.")] = 3,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; by default torch's choice.")] = None,
) -> None:
    """Shows a page and answers over HTTP, on this machine alone; a token is taken from LUNG_SRAD_TOKEN.

    Example: lung-srad serve runs/lung_srad/seed1
    """
    from lung_srad.errors import optional_import

    for module in ("fastapi", "uvicorn", "python_multipart"):
        optional_import(module, "serve")
    from lung_srad.serving.guard import Door
    from lung_srad.serving.limits import Limits
    from lung_srad.serving.server import serve as run

    door = Door(os.environ.get("LUNG_SRAD_TOKEN", ""), tuple(origin or ()))
    limits = Limits(megabytes=max_megabytes, seconds=max_seconds, waiting=queue)
    run(model, host=host, port=port, door=door, limits=limits, threads=threads)
