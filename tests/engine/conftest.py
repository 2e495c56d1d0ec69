"""Fixtures of the engine's tests: each test leaves the engine as it found it."""

import pytest

from cymx import _engine
from cymx.base import MXNetError

ENGINE_TYPES = ["ThreadedEnginePerDevice", "NaiveEngine"]


def forget_errors():
    """Wait for all tasks and drop their errors; return the messages."""
    messages = []
    while True:
        try:
            _engine.waitall()
            return messages
        except (MXNetError, MemoryError) as error:
            messages.append(str(error))


@pytest.fixture(autouse=True)
def clean_engine():
    forget_errors()
    yield
    forget_errors()
    _engine.set_engine_type("ThreadedEnginePerDevice")
    _engine.set_queue_limit(1024)


@pytest.fixture(params=ENGINE_TYPES)
def any_engine(request):
    """Run the test with each engine type."""
    _engine.set_engine_type(request.param)
    return request.param
