"""The kernel cache: what is in it is whole, is found again by any process, and is made once."""

import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from cymx.base import MXNetError
from cymx.gpu import cache, compiler
from cymx.gpu.recipe import Kernel

SOURCE = '#include "device.cuh"\nnamespace cymx { template <class T> __global__ void nothing(T *) {} }'
KERNEL = Kernel(SOURCE, "cymx::nothing<float>")


class Counting:
    """A toolchain that makes nothing of anything, and counts how often."""

    def __init__(self, identity="counting-1"):
        self.identity, self.n_built, self.fails = identity, 0, False
        self.began, self.go = threading.Event(), threading.Event()
        self.go.set()

    def archs(self):
        return [80, 90]

    def build(self, source, name, headers, arch, options):
        self.n_built += 1
        self.began.set()
        assert self.go.wait(10)
        if self.fails:
            raise ValueError("line 1: no")
        text = repr((source, name, sorted(headers), arch, options)).encode()
        return bytes(range(256)) + b"\n" + text, f"symbol_of_{name}", "a log, with \n lines"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CYMX_KERNEL_CACHE", str(tmp_path / "kernels"))
    return tmp_path / "kernels"


@pytest.fixture
def chain(folder):
    """Use a counting toolchain, with an empty disk cache."""
    before = compiler.toolchain()
    made = Counting()
    compiler.use(made)
    compiler._images.clear()
    yield made
    compiler.use(before)
    compiler._images.clear()


def files(folder):
    return sorted(folder.rglob("*.bin"))


def forget():
    """Have the next build look on disk, as another process would."""
    compiler._images.clear()


def test_an_image_is_made_once_and_found_again(chain, folder):
    first = compiler.build(KERNEL, 90)
    assert compiler.build(Kernel(SOURCE, KERNEL.name), 90) is first and chain.n_built == 1
    forget()
    assert compiler.build(KERNEL, 90) == first and chain.n_built == 1
    (path,) = files(folder)
    assert path.parts[-3] == "counting-1-sm_90" and path.parts[-2] + path.stem == compiler.key_of(KERNEL, 90)
    assert not list(folder.rglob("*.lock")) and not list(folder.rglob("*.tmp"))


def test_the_key_holds_all_that_decides(chain, monkeypatch):
    def key():
        compiler._digest.cache_clear()
        return compiler.key_of(kernel, arch)

    kernel, arch = KERNEL, 90
    keys = [key()]
    arch = 80
    keys.append(key())
    kernel = Kernel(SOURCE, "cymx::nothing<double>")
    keys.append(key())
    kernel = Kernel(SOURCE + " ", "cymx::nothing<double>")
    keys.append(key())
    chain.identity = "counting-2"
    keys.append(key())
    texts = dict(compiler.headers())
    monkeypatch.setattr(compiler, "headers", lambda: texts)
    texts["half.h"] += "\n"  # which device.cuh includes
    keys.append(key())
    assert len(set(keys)) == len(keys)
    texts["random.h"] += "\n"  # which nothing here includes
    assert key() == keys[-1]
    compiler._digest.cache_clear()


def test_headers_are_those_that_a_text_reads():
    assert list(compiler.headers_of("int x;")) == []
    assert {"device.cuh", "half.h", "prelude.h"} == set(compiler.headers_of(SOURCE))
    assert "math.h" in compiler.headers_of('  #  include "map.h"')


@pytest.mark.parametrize("damage", ["empty", "cut", "bit", "magic", "schema", "head"])
def test_damaged_files_are_made_again(chain, folder, damage, monkeypatch):
    image = compiler.build(KERNEL, 90)
    (path,) = files(folder)
    data = path.read_bytes()
    flipped = bytearray(data)
    flipped[-40] ^= 1
    path.write_bytes({
        "empty": b"", "cut": data[:-1], "bit": bytes(flipped), "magic": b"x" + data[1:],
        "schema": data.replace(b'"schema": 1', b'"schema": 9'), "head": cache.MAGIC + b"[]\n",
    }[damage])  # fmt: skip
    forget()
    assert compiler.build(KERNEL, 90) == image and chain.n_built == 2
    assert path.read_bytes() == data


def test_a_refused_image_is_made_again(chain, folder):
    image = compiler.build(KERNEL, 90)
    assert compiler.rebuild(KERNEL, 90) == image and chain.n_built == 2 and len(files(folder)) == 1


def test_an_unwritable_folder_costs_one_warning(chain, folder):
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file, where a folder should be")
    with pytest.warns(UserWarning, match="GPU kernels are not kept: .*kernels.*CYMX_KERNEL_CACHE"):
        compiler.build(KERNEL, 90)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiler.build(KERNEL, 80)
        assert compiler.build(KERNEL, 80) and chain.n_built == 2  # memory still holds it


def test_off_keeps_nothing(chain, folder, monkeypatch):
    monkeypatch.setenv("CYMX_KERNEL_CACHE", "off")
    compiler.build(KERNEL, 90)
    forget()
    compiler.build(KERNEL, 90)
    assert chain.n_built == 2 and not folder.exists()


def test_the_oldest_files_go_first(chain, folder):
    paths = []
    for i in range(5):
        compiler.build(Kernel(SOURCE + f"// {i}", KERNEL.name), 90)
        (new,) = set(files(folder)) - set(paths)
        os.utime(new, (i, i))
        paths.append(new)
    size = paths[0].stat().st_size
    forget()
    compiler.build(Kernel(SOURCE + "// 0", KERNEL.name), 90)  # uses the oldest
    cache.sweep(folder, max_bytes=4 * size)
    assert files(folder) == sorted([paths[0], paths[3], paths[4]])
    cache.sweep(folder, max_bytes=4 * size)
    assert len(files(folder)) == 3


def test_threads_that_want_one_kernel_make_it_once(chain):
    chain.go.clear()
    threads = [threading.Thread(target=compiler.build, args=(KERNEL, 90)) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert chain.began.wait(10)
    chain.go.set()
    for thread in threads:
        thread.join(10)
    assert chain.n_built == 1


def test_a_failure_is_told_and_not_kept(chain, folder, monkeypatch):
    monkeypatch.setenv("CYMX_DUMP_KERNELS", str(folder.parent / "dump"))
    chain.fails = True
    with pytest.raises(
        compiler.CompileError, match=r"cymx::nothing<float> for sm_90 is refused by counting-1.*\.cu\nline 1: no"
    ):
        compiler.build(KERNEL, 90)
    (path,) = (folder.parent / "dump").glob("*.cu")
    assert path.read_text().endswith(SOURCE)
    chain.fails = False
    assert compiler.build(KERNEL, 90).symbol == "symbol_of_cymx::nothing<float>"
    assert {p.suffix for p in (folder.parent / "dump").iterdir()} == {".cu", ".log", ".image"}


def test_many_are_built_side_by_side(chain):
    kernels = [Kernel(SOURCE, f"cymx::nothing<{t}>") for t in ("float", "double", "int")]
    assert [image.symbol for image in compiler.build_all(kernels, 90)] == [f"symbol_of_{k.name}" for k in kernels]
    chain.fails = True
    with pytest.raises(MXNetError, match="nothing<bool>"):
        compiler.build_all([*kernels, Kernel(SOURCE, "cymx::nothing<bool>")], 90)
    started = compiler.start(kernels, 80)
    assert all(isinstance(future.exception(10), compiler.CompileError) for future in started)


CHILD = """
import sys, time
from cymx.gpu import compiler
from cymx.gpu.recipe import Kernel
class Slow:
    identity = "slow-1"
    def archs(self): return [90]
    def build(self, source, name, headers, arch, options):
        time.sleep(0.05)
        with open(sys.argv[1], "a") as file: file.write(name + "\\n")
        return name.encode() * 1000, name, ""
compiler.use(Slow())
names = [f"k{i}" for i in range(12)]
images = compiler.build_all([Kernel("", name) for name in names], 90)
assert [i.code for i in images] == [n.encode() * 1000 for n in names]
"""


def test_processes_make_each_kernel_once(folder, tmp_path):
    log = tmp_path / "built"
    root = Path(compiler.__file__).parents[2]  # not the checkout, where cymx is installed
    children = [subprocess.Popen([sys.executable, "-c", CHILD, str(log)], cwd=root) for _ in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    assert sorted(log.read_text().split()) == sorted(f"k{i}" for i in range(12))
    assert len(files(folder)) == 12 and not list(folder.rglob("*.lock"))


def test_a_forked_child_compiles(chain):
    chain.go.clear()
    thread = threading.Thread(target=compiler.build, args=(KERNEL, 90))
    thread.start()
    assert chain.began.wait(10)
    child = os.fork()
    if not child:  # the build that its parent's thread has begun never ends here
        chain.go.set()
        os._exit(0 if compiler.build_all([Kernel(SOURCE, "cymx::nothing<int>"), KERNEL], 90)[1].code else 1)
    chain.go.set()
    thread.join(10)
    assert os.waitpid(child, 0)[1] == 0
