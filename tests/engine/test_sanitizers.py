"""Build the engine's C++ with stress.cpp, without Python, and run it under ThreadSanitizer and AddressSanitizer."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "csrc" / "engine"
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")


def build(program, sources, sanitizers):
    """Compile and link a program; return what subprocess.run returns."""
    flags = ["-std=c++17", "-O1", "-g1", "-pthread", "-Wall", "-Wextra", "-Werror"]
    flags += [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", f"-I{ROOT / 'csrc'}"]
    command = [*COMPILER.split(), *flags, *map(str, sources), "-o", str(program)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(not COMPILER or not ENGINE.is_dir(), reason="needs a C++ compiler and the sources")
@pytest.mark.parametrize("sanitizers", ["thread", "address,undefined"])
def test_stress_is_clean(sanitizers, tmp_path):
    empty = tmp_path / "empty.cpp"
    empty.write_text("int main() {}\n")
    if build(tmp_path / "empty", [empty], sanitizers).returncode:
        pytest.skip(f"the compiler came without its libraries for -fsanitize={sanitizers}")

    program = tmp_path / "stress"
    built = build(program, [Path(__file__).with_name("stress.cpp"), *sorted(ENGINE.glob("*.cpp"))], sanitizers)
    assert built.returncode == 0, built.stderr
    done = subprocess.run([program, "30"], capture_output=True, text=True, timeout=120)
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("this sanitizer does not know the kernel's address layout")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "stress: passed\n"
