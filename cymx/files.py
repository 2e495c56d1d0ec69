"""Writing files so that no reader ever sees half of one.  Called by: ndarray, symbol."""

import contextlib
import os


def write_atomic(path: str | os.PathLike, data: bytes) -> None:
    """Write data to path so that nobody reads a part of it: the new file takes the old one's name when it is whole.

    Follows links and keeps the permissions of a file that is replaced; writes straight into what is no regular file.
    Raises OSError.
    """
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, "wb") as f:
            f.write(data)
        return
    folder, name = os.path.split(target)
    temp = os.path.join(folder, f".{name}.{os.urandom(6).hex()}.tmp")
    try:
        with open(temp, "xb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        if os.path.exists(target):
            os.chmod(temp, os.stat(target).st_mode)
        os.replace(temp, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise
