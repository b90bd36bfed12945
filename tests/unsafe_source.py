"""What in a module's text could execute what it reads, whatever names it goes by."""

import ast
from collections.abc import Iterator

EXECUTES = {"eval", "exec", "compile", "__import__", "execfile", "os.system", "os.popen", "os.startfile", "pty.spawn"}
EXECUTES |= {f"os.{name}" for name in ("execl", "execle", "execlp", "execv", "execve", "execvp", "execvpe")}
EXECUTES |= {f"runpy.{name}" for name in ("run_path", "run_module")} | {"code.interact", "subprocess.getoutput"}
UNPICKLES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "yaml",
}
READERS = {  # that unpickle, import or run what they are given
    "numpy.lib.format.read_array",
    "pandas.read_pickle",
    "torch.hub.load",
    "torch.jit.load",
    "torch.package.PackageImporter",
    "torch.export.load",
    "torch.utils.cpp_extension.load",
    "torch.ops.load_library",
    "multiprocessing.reduction.ForkingPickler.loads",
}
LOADERS = {"torch.load", "torch.serialization.load"}
HARMLESS = "pickle.UnpicklingError"  # what torch raises at a hostile file; whoever catches it imports pickle
BUILTINS = ("builtins.", "__builtins__.")
ARRAYS = {"numpy.load": 2, "numpy.lib.npyio.load": 2}  # the place of allow_pickle among the arguments


def unsafe(text: str) -> Iterator[str]:
    """Yields whatever in a module's text could execute what it reads, as it would be called without other names."""
    tree = ast.parse(text)
    names = _names(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import(aliases):
                # plain pickle may be there for its error: its attributes are looked at below
                foreign = [each.name for each in aliases if each.name != "pickle" or each.asname]
                yield from (name for name in foreign if name.partition(".")[0] in UNPICKLES)
            case ast.ImportFrom(module, aliases):
                dotted = {f"{module}.{each.name}" for each in aliases} - {HARMLESS}
                known = LOADERS | READERS | EXECUTES
                yield from sorted(each for each in dotted if each in known or each.partition(".")[0] in UNPICKLES)
            case ast.Attribute():
                dotted = _dotted(node, names)
                if dotted.startswith("pickle.") and dotted != HARMLESS:
                    yield dotted
            case ast.Call():
                yield from _of_call(node, names)
            case ast.Name(identifier, ast.Load()) if identifier in EXECUTES and not _is_called(tree, node):
                yield f"{identifier}, handed on"


def _of_call(node: ast.Call, names: dict[str, str]) -> Iterator[str]:
    called = _dotted(node.func, names)
    for prefix in BUILTINS:
        called = called.removeprefix(prefix)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    if called in EXECUTES | READERS:
        yield called
    if called in LOADERS and (given.get("weights_only") != "True" or None in given):
        yield called
    if given.get("allow_pickle", "False") != "False" or len(node.args) > ARRAYS.get(called, len(node.args)):
        yield f"{called}(allow_pickle)"
    if given.get("shell", "False") != "False":
        yield f"{called}(shell)"
    if given.get("trust_remote_code", "False") != "False":
        yield f"{called}(trust_remote_code)"
    if called.rpartition(".")[2] in ("extractall", "unpack_archive"):
        yield f"{called}, which writes where an archive says"
    if called == "getattr" and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
        owner = f"{_dotted(node.args[0], names)}.{node.args[1].value}"
        if owner in LOADERS | READERS | EXECUTES or owner.partition(".")[0] in UNPICKLES:
            yield owner
    if called.rpartition(".")[2] == "import_module" and node.args and isinstance(node.args[0], ast.Constant):
        module = str(node.args[0].value)
        yield from [f"{called}({module})"] if module.partition(".")[0] in UNPICKLES else []


def _names(tree: ast.Module) -> dict[str, str]:
    """Returns what each imported name stands for."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.asname: each.name for each in node.names if each.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return found


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    """Returns a name with its dots, the first part as what it was imported as."""
    first, dot, rest = ast.unparse(node).partition(".")
    return names.get(first, first) + dot + rest


def _is_called(tree: ast.Module, name: ast.Name) -> bool:
    return any(isinstance(node, ast.Call) and node.func is name for node in ast.walk(tree))
