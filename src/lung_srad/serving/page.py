"""The files of the page, as they ship: no build, and nothing from elsewhere."""

from importlib.resources import files

_SCRIPTS = ("page", "answer", "picture", "service", "microphone", "words", "recorder")
PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in _SCRIPTS},
}


def read(name: str) -> bytes:
    """Returns one of the files."""
    return (files("lung_srad.serving") / "static" / name).read_bytes()
