"""The road on which a test runs its kernels."""

import pytest
from kernels.nn_support import ROADS, Road


@pytest.fixture(params=ROADS)
def road(request):
    """Yield each way to run a kernel in turn."""
    with Road(request.param) as chosen:
        yield chosen


@pytest.fixture(params=[name for name in ROADS if name != "onednn"])
def portable(request):
    """Yield each instruction set's portable kernels in turn."""
    with Road(request.param) as chosen:
        yield chosen
