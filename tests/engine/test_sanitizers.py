"""Build the engine's C++ with stress.cpp, without Python, and run it under ThreadSanitizer and AddressSanitizer."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "csrc" / "engine"
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")


@pytest.mark.skipif(not COMPILER or not ENGINE.is_dir(), reason="needs a C++ compiler and the sources")
@pytest.mark.parametrize("sanitizers", ["thread", "address,undefined"])
def test_stress_is_clean(sanitizers, tmp_path):
    program = tmp_path / "stress"
    sources = [Path(__file__).with_name("stress.cpp"), *sorted(ENGINE.glob("*.cpp"))]
    flags = ["-std=c++17", "-O1", "-g", "-pthread", "-Wall", "-Wextra", "-Werror"]
    flags += [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", f"-I{ROOT / 'csrc'}"]
    subprocess.run([COMPILER, *flags, *map(str, sources), "-o", str(program)], check=True, timeout=120)
    done = subprocess.run([program, "40"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "stress: passed\n"
