"""The kernel cache on disk: a file for each image, keyed by content, shared by any number of processes.

A file is a line of magic, a line of JSON (schema, symbol, log, digest), and the code.  It is written beside its place
and moved there, so readers see all of it or nothing; one that is damaged is deleted and made again.  One process
compiles a key while others wait for it.  A folder that cannot be written costs one warning, and then nothing is kept.
Called by: gpu/compiler.py.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from .. import config

SCHEMA = 1
MAX_BYTES = 512 << 20
MAGIC = b"cymx kernel\n"
SWEEP_EVERY = 64  # files written between two looks at the size of all

Entry = tuple[bytes, str, str]
_written: dict[str, int] = {}  # files of this process by root
_warned: set[str] = set()


def fetch(folder: str, key: str, make: Callable[[], Entry]) -> Entry:
    """Return (code, symbol, log) of a key, made and kept if the cache has none that is whole."""
    root = config.kernel_cache()
    if root is None:
        return make()
    path = _path(root, folder, key)
    entry = _read(path)
    if entry:
        return entry
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_locked(path.with_suffix(".lock")))
        except OSError as error:
            _warn(root, error)
            return make()
        entry = _read(path)
        if not entry:
            entry = make()
            _keep(Path(root), path, entry)
    return entry


def remove(folder: str, key: str) -> None:
    """Delete the file of a key, if there is one."""
    root = config.kernel_cache()
    if root is not None:
        with contextlib.suppress(OSError):
            _path(root, folder, key).unlink()


def _path(root: str, folder: str, key: str) -> Path:
    return Path(root, folder, key[:2], f"{key[2:]}.bin")


def _read(path: Path) -> Entry | None:
    """Return what a file holds and note its use; None, and no file, where it is damaged or of another schema."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    try:
        if not data.startswith(MAGIC):
            raise ValueError("magic")
        line, _, code = data[len(MAGIC) :].partition(b"\n")
        head = json.loads(line)
        if head["schema"] != SCHEMA or head["sha256"] != _digest(code, head["symbol"], head["log"]):
            raise ValueError("digest")
    except (ValueError, KeyError, TypeError):
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return code, head["symbol"], head["log"]


def _digest(code: bytes, symbol: str, log: str) -> str:
    return hashlib.sha256(b"\0".join((symbol.encode(), log.encode(), code))).hexdigest()


def _keep(root: Path, path: Path, entry: Entry) -> None:
    """Write a file, all of it or nothing."""
    code, symbol, log = entry
    head = {"schema": SCHEMA, "symbol": symbol, "log": log, "sha256": _digest(code, symbol, log)}
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(MAGIC + json.dumps(head).encode() + b"\n" + code)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        _warn(str(root), error)
        return
    n_written = _written.get(str(root), 0)
    _written[str(root)] = n_written + 1
    if n_written % SWEEP_EVERY == 0:
        sweep(root)


def sweep(root: Path, max_bytes: int | None = None) -> None:
    """Delete the files that were used longest ago until all take at most 9/10 of max_bytes, if they took more."""
    limit = MAX_BYTES if max_bytes is None else max_bytes
    files = []
    for path in root.rglob("*.bin"):
        with contextlib.suppress(OSError):
            found = path.stat()
            files.append((found.st_mtime_ns, found.st_size, path))
    total = sum(size for _, size, _ in files)
    if total <= limit:
        return
    for _, size, path in sorted(files):
        if total <= limit * 9 // 10:
            return
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size


def _warn(root: str, error: OSError) -> None:
    """Say once that a folder keeps nothing."""
    if root not in _warned:
        _warned.add(root)
        warnings.warn(
            f"GPU kernels are not kept: {root}: {error} (CYMX_KERNEL_CACHE names another folder)", stacklevel=3
        )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file's lock against other processes and threads; the file is gone afterwards."""
    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            with contextlib.suppress(OSError):  # a file system without locks: two may compile, the files stay whole
                fcntl.flock(handle, fcntl.LOCK_EX)
            try:
                current = os.stat(path).st_ino == os.fstat(handle).st_ino
            except FileNotFoundError:
                current = False
            if not current:  # the last holder deleted the file that was waited for
                continue
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(path)
            return
        finally:
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_UN)  # a child that was forked meanwhile holds the file open, too
            os.close(handle)
