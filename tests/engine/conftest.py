"""Fixtures of the engine's tests: each test leaves the engine as it found it."""

import pytest

from cymx import _engine
from cymx.base import MXNetError

ENGINE_TYPES = ["ThreadedEnginePerDevice", "NaiveEngine"]


def drop_errors():
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
    drop_errors()
    yield
    drop_errors()
    _engine.set_engine_type("ThreadedEnginePerDevice")
    _engine.set_queue_limit(1024)


@pytest.fixture(params=ENGINE_TYPES)
def any_engine(request):
    """Run the test with each engine type."""
    _engine.set_engine_type(request.param)
    return request.param


@pytest.fixture
def forget_errors():
    """A function that waits for all tasks, drops their errors and returns the messages."""
    return drop_errors
