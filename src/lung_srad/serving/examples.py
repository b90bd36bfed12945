"""What OpenAPI shows of bodies and answers; a test compares the example with what a model really says."""

from typing import Any

from lung_srad.serving.answers import MEDIA
from lung_srad.serving.uploads import FIELD

_FILE = {"type": "string", "format": "binary"}
_ERROR = {"error": "a.wav: the file is empty (0 bytes); a WAV header and samples; take it from its source again"}
CLASSIFICATION: dict[str, Any] = {
    "schema": "lung_srad.classification",
    "version": 1,
    "path": "a.wav",
    "seconds": 8.0,
    "rate": 4000,
    "kind": "windows",
    "class_names": ["normal", "crackle", "wheeze", "both"],
    "segments": [
        {
            "start": 0.0,
            "end": 8.0,
            "probabilities": {"normal": 0.1, "crackle": 0.7, "wheeze": 0.1, "both": 0.1},
            "label": "crackle",
            "code": "",
            "ood_score": None,
        }
    ],
    "events": [{"start": 0.0, "end": 8.0, "label": "crackle", "peak": 0.8, "mean": 0.8}],
    "event_rule": {"onset": 0.5, "offset": 0.3, "gap": 0.0, "shortest": 0.0},
    "summary": {"n": 1},
    "quality": {"verdict": "accept", "findings": [], "measures": {}},
    "notices": [],
    "model": {"name": "demo", "notice": "simulated training, research use, not a medical device"},
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One recording: wav, flac, ogg, mp3 or aiff. It is not kept.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: _FILE},
                    "additionalProperties": False,
                },
            },
            "audio/wav": {"schema": _FILE},
            "application/octet-stream": {"schema": _FILE},
        },
    }
}


def _error(description: str) -> dict[str, Any]:
    schema = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
    return {"description": description, "content": {"application/json": {"schema": schema, "example": _ERROR}}}


UNKNOWN = {401: _error("No token, or another"), 403: _error("A foreign Host or Origin")}
MODEL: dict[int | str, dict[str, Any]] = {**UNKNOWN, 503: _error("The model is being loaded; Retry-After says when")}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer, as `lung-srad classify` gives it",
        "content": {
            "application/json": {"example": CLASSIFICATION},
            **{kind.partition(";")[0]: {} for form, kind in MEDIA.items() if form != "json"},
        },
    },
    400: _error("A question or a form that cannot be"),
    **UNKNOWN,
    408: _error("The body did not arrive in time"),
    413: _error("Too many bytes, or too many seconds of sound"),
    415: _error("A content type or encoding that is not taken"),
    422: _error("The recording cannot be used"),
    500: _error("The model is damaged"),
    503: _error("Busy, or stopping; Retry-After says when to ask again"),
}
