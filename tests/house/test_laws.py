"""The laws of the house, checked on the source: which room may import which, who reads the environment, how long a
file is.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "cymx"

# From left to right; a room imports only rooms on its left.
ROOMS = """
    base config files registry name attribute recordio data _engine _array _ops _eager gpu context ir ops
    compiler ndarray rtc random autograd executor symbol lr_scheduler optimizer initializer metric io
    executor_manager kvstore model callback monitor visualization rnn module gluon test_utils
""".split()

# Run by `python -m`, and imported by no room.
PROGRAMS = {PACKAGE / "gpu" / "warm.py"}
# The driver's calls, and the compiler's.
CUDA_FILES = {PACKAGE / "gpu" / name for name in ("driver.py", "nvrtc.py")}
PYTHON_FILES = sorted(PACKAGE.rglob("*.py"))
CYTHON_FILES = sorted([*PACKAGE.rglob("*.pyx"), *PACKAGE.rglob("*.pxd")])
GPU_KERNELS = PACKAGE / "gpu" / "kernels"
CPP_FOLDERS = (ROOT / "csrc", PACKAGE / "include", GPU_KERNELS)
CPP_FILES = sorted(p for d in CPP_FOLDERS for p in d.rglob("*") if p.suffix in (".h", ".cpp", ".cuh"))


def name_of(path):
    return str(path.relative_to(ROOT))


def trees():
    for path in PYTHON_FILES:
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def room_of(path):
    """Return the room a file belongs to; the package's own __init__ and its programs are the last room, "cymx"."""
    if path in PROGRAMS:
        return "cymx"
    first = path.relative_to(PACKAGE).parts[0].split(".")[0]
    return "cymx" if first == "__init__" else first


def imported_modules(path):
    """Yield (line, dotted module name) of every import in a file, at its top or within a function."""
    package = ["cymx", *path.relative_to(PACKAGE).parent.parts]
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = (
                    ".".join([*package[: len(package) - node.level + 1], node.module or ""])
                    if node.level
                    else node.module
                )
                yield from ((node.lineno, f"{base.rstrip('.')}.{alias.name}") for alias in node.names)
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = re.match(r"\s*(?:from\s+(\.*)([\w.]*)\s+c?import\s+(\w+)|c?import\s+([\w.]+))", line)
        if match:
            dots, module, name, plain = match.groups()
            yield number, plain or ".".join(filter(None, ["cymx" if dots else "", module, name]))


def test_imports_go_left():
    wrong = []
    for path in [*PYTHON_FILES, *CYTHON_FILES]:
        room = room_of(path)
        if room == "cymx":
            continue
        assert room in ROOMS, f"{name_of(path)}: give the room {room!r} its place in ROOMS"
        for line, module in imported_modules(path):
            parts = module.split(".")
            if parts[0] != "cymx":
                continue
            other = parts[1] if len(parts) > 1 and parts[1] in ROOMS else "cymx"
            if other != room and (other == "cymx" or ROOMS.index(other) > ROOMS.index(room)):
                wrong.append(f"{name_of(path)}:{line}: {room} imports {module}")
    assert not wrong, "imports that do not go left:\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    "line", ["from cymx.symbol import Symbol", "def f():\n    from ..symbol import x", "import cymx"]
)
def test_the_import_test_can_fail(line, tmp_path, monkeypatch):
    bad = tmp_path / "cymx" / "ndarray" / "bad.py"
    bad.parent.mkdir(parents=True)
    bad.write_text(line)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "cymx")
    monkeypatch.setitem(globals(), "PYTHON_FILES", [bad])
    monkeypatch.setitem(globals(), "CYTHON_FILES", [])
    with pytest.raises(AssertionError, match="cymx/ndarray/bad.py:[12]: ndarray imports cymx"):
        test_imports_go_left()


def test_only_config_reads_the_environment():
    words = ("environ", "environb", "getenv", "putenv")
    wrong = [
        f"{name_of(path)}:{node.lineno}"
        for path, tree in trees()
        if room_of(path) != "config"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.alias) and getattr(node, "attr", getattr(node, "name", "")) in words
    ]
    for path in [*CYTHON_FILES, *CPP_FILES]:
        wrong += [name_of(path)] if re.search(r"\b(getenv|environ)\b", path.read_text(encoding="utf-8")) else []
    assert not wrong, f"only cymx/config.py reads the environment: {wrong}"


def test_no_room_imports_a_program():
    names = {".".join(p.relative_to(ROOT).with_suffix("").parts) for p in PROGRAMS}
    wrong = [f"{name_of(p)}:{n}" for p in PYTHON_FILES for n, module in imported_modules(p) if module in names]
    assert not wrong, f"programs are run, not imported: {wrong}"


def test_no_text_is_run_as_code():
    wrong = [
        f"{name_of(path)}:{node.lineno}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("exec", "eval", "__import__")
    ]
    assert not wrong, f"exec, eval or __import__: {wrong}"


def test_only_the_driver_names_cuda():
    wrong = [
        f"{name_of(path)}:{line}"
        for path in [*PYTHON_FILES, *CYTHON_FILES]
        for line, module in imported_modules(path)
        if module.split(".")[0] in ("cuda", "cupy", "pycuda") and path not in CUDA_FILES
    ]
    assert not wrong, f"only gpu/driver.py and gpu/nvrtc.py import CUDA: {wrong}"


def test_files_stay_short():
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in [*PYTHON_FILES, *CYTHON_FILES, *CPP_FILES]}
    kernels = {ROOT / "csrc" / "kernels", GPU_KERNELS}
    long = [f"{name_of(p)}: {n}" for p, n in lines.items() if n >= (500 if kernels.isdisjoint(p.parents) else 700)]
    assert not long, f"split by meaning: {long}"
    assert (ROOT / "setup.py").read_text(encoding="utf-8").count("\n") < 200


def test_cpp_knows_no_python():
    wrong = [name_of(p) for p in CPP_FILES if re.search(r"#\s*include\s*[<\"]Python\.h", p.read_text(encoding="utf-8"))]
    assert not wrong, f"C++ that includes Python.h: {wrong}"


def test_every_file_says_what_it_holds():
    silent = [name_of(path) for path, tree in trees() if tree.body and not ast.get_docstring(tree)]
    silent += [name_of(p) for p in CPP_FILES if not p.read_text(encoding="utf-8").lstrip().startswith(("/*", "//"))]
    assert not silent, f"files without a header: {silent}"
