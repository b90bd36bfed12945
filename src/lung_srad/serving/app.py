"""The routes: the page, the answers, what the model is, and whether the service is well."""

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from lung_srad.errors import ConfigError, LungSradError, WeightsError, message, shown
from lung_srad.serving.answers import MEDIA, Asked, answer
from lung_srad.serving.desk import Desk, answered, follow, give_up, wait_for
from lung_srad.serving.examples import BODY, MODEL, RESPONSES
from lung_srad.serving.guard import Door, Guard
from lung_srad.serving.limits import GoneError, Limits, RefusedError
from lung_srad.serving.page import PAGE, read
from lung_srad.serving.uploads import Held, receive_recording


def create_app(desk: Desk, limits: Limits, door: Door) -> Guard:
    """Returns the service as an ASGI application."""
    app = FastAPI(
        title="Lung-SRAD",
        summary="Respiratory sounds: research use, not a medical device.",
        docs_url=None,  # both pages load their scripts from elsewhere
        redoc_url=None,
    )
    held = Held(limits.held)
    app.state.held = held
    for path, (name, kind) in PAGE.items():
        app.add_api_route(path, partial(_static, name, kind), methods=["GET"], include_in_schema=False)
    app.add_api_route("/healthz", _healthy, methods=["GET"], summary="Whether the service runs")
    app.add_api_route("/readyz", partial(_ready, desk), methods=["GET"], summary="Whether the model is loaded")
    _routes(app, desk, limits, held)
    app.openapi = partial(_described, app, desk)  # type: ignore[method-assign]
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(GoneError, _refused)
    app.add_exception_handler(LungSradError, _failed)
    app.add_exception_handler(RequestValidationError, _wrong_question)
    app.add_exception_handler(HTTPException, _elsewhere)
    return Guard(app, door)


def _routes(app: FastAPI, desk: Desk, limits: Limits, held: Held) -> None:
    """Adds what is asked of the model."""

    @app.get("/v1/model", summary="Card, classes and hash of the model", responses=MODEL)
    async def model() -> Any:
        loaded = desk.model
        if loaded is None:
            raise RefusedError(
                503, message("the model", "is being loaded", "a loaded one", "ask again soon"), {"Retry-After": "2"}
            )
        return {**loaded.facts(), "class_names": list(loaded.class_names), "card": loaded.card}

    @app.post("/v1/classify", summary="Classify one recording", responses=RESPONSES, openapi_extra=BODY)
    async def classify(request: Request, asked: Annotated[Asked, Query()]) -> Response:
        desk.require_room()
        headers = {name.lower(): value for name, value in request.headers.items()}
        upload = await receive_recording(request.receive, headers, asked.name, limits, held)
        name = upload.name
        job = partial(_job, partial(desk.decoder.open, upload), asked, limits.seconds)
        future, watch = desk.begin(job, upload.close)
        if asked.format != "page":
            text = await wait_for(future, watch, request.receive)
            return Response(text, media_type=MEDIA[asked.format], headers=_as_file(asked.format))
        steps = follow(future, watch)
        async for _ in steps:
            break  # what cannot be heard is refused by now, in most cases, with a status of its own
        if future.done():
            answered(future)
        return StreamingResponse(_lines(steps, future, watch, name), media_type=MEDIA["page"])


def _described(app: FastAPI, desk: Desk) -> dict[str, Any]:
    """Returns OpenAPI; a hop has the limit that the model gives it, once there is one."""
    described = FastAPI.openapi(app)
    if desk.model is not None:
        parameters = described["paths"]["/v1/classify"]["post"]["parameters"]
        hop = next(each["schema"] for each in parameters if each["name"] == "hop")
        hop["maximum"] = desk.model.frontend.seconds
    return described


def _job(opened: Any, asked: Asked, longest: float, model: Any, watch: Any) -> str:
    return answer(model, opened, asked, longest=longest, watch=watch)


def _as_file(form: str) -> dict[str, str]:
    """Returns the header by which a browser saves a page of a recording and never shows it as one of ours."""
    return {"Content-Disposition": "attachment; filename=report.html"} if form == "html" else {}


async def _lines(steps: AsyncIterator[float], future: Any, watch: Any, name: str) -> AsyncIterator[str]:
    """Yields the progress, then the answer or why there is none, a line each."""
    async for share in steps:
        yield json.dumps({"progress": round(share, 4)}) + "\n"
    try:
        yield f'{{"answer": {answered(future)}}}\n'
    except (RefusedError, LungSradError) as error:
        yield json.dumps({"error": str(error)}) + "\n"
    except Exception:
        yield json.dumps({"error": _broken(name)}) + "\n"
        raise
    finally:
        give_up(future, watch)


def _broken(name: str) -> str:
    return message(name, "could not be answered", "a recording", "tell whoever runs the service to look into its log")


async def _static(name: str, kind: str) -> Response:
    return Response(read(name), media_type=kind)


async def _healthy() -> dict[str, str]:
    return {"status": "ok"}


async def _ready(desk: Desk) -> JSONResponse:
    if desk.model is None:
        return JSONResponse({"status": "loading"}, 503, {"Retry-After": "2"})
    return JSONResponse({"status": "ready", "waiting": desk.waiting})


async def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, RefusedError):
        return JSONResponse({"error": error.text}, error.status, error.headers)
    return Response(status_code=499)  # nobody reads it


async def _failed(request: Request, error: Exception) -> Response:
    status = 400 if isinstance(error, ConfigError) else 500 if isinstance(error, WeightsError) else 422
    return JSONResponse({"error": str(error)}, status)


async def _wrong_question(request: Request, error: Exception) -> Response:
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": (), "msg": "", "input": ""}
    where = shown(".".join(map(str, first["loc"])))[:80]
    seen = shown(str(first.get("input")))[:80]
    text = message(where, seen, shown(first["msg"])[:200], "/openapi.json lists what may be asked")
    return JSONResponse({"error": text}, 400)


async def _elsewhere(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    seen = f"{request.method} {shown(request.url.path)[:80]}"
    text = message(seen, "is not there", "what /openapi.json lists", "POST a recording to /v1/classify")
    return JSONResponse({"error": text}, status, getattr(error, "headers", None))
