"""Errors: a failing task poisons what it writes, dependants are skipped, and the waits tell."""

import pytest

from cymx import _engine
from cymx.base import MXNetError

pytestmark = pytest.mark.usefixtures("any_engine")


def fail_with(error):
    def run():
        raise error

    return run


@pytest.fixture(params=[False, True], ids=["queued", "small"])
def push(request):
    """Push a task, queued or at once."""
    return lambda fn, reads, writes, label="task": _engine.push_callable(fn, reads, writes, label, small=request.param)


def test_wait_raises_every_time_until_overwritten(push):
    buffer = _engine.Buffer(8)
    push(fail_with(ValueError("no luck")), [], [buffer], "exp 'e1'")  # the push itself does not fail
    for wait in (buffer.wait_to_read, buffer.wait_to_read, buffer.wait_to_write):
        with pytest.raises(MXNetError, match="^exp 'e1': ValueError: no luck$"):
            wait()
    push(lambda: None, [], [buffer])
    buffer.wait_to_read()


def test_dependants_are_skipped_and_carry_the_first_error(push):
    a, b, c, ran = _engine.Buffer(8), _engine.Buffer(8), _engine.Buffer(8), []
    push(fail_with(ValueError("first")), [], [a], "one")
    push(fail_with(ValueError("second")), [], [b], "two")
    push(lambda: ran.append(1), [a, b], [c], "three")
    with pytest.raises(MXNetError, match="^one: ValueError: first$"):
        c.wait_to_read()
    assert not ran


def test_write_that_also_reads_does_not_clear(push):
    buffer, ran = _engine.Buffer(8), []
    push(fail_with(ValueError("no")), [], [buffer], "bad")
    push(lambda: ran.append(1), [buffer], [buffer], "in-place")
    with pytest.raises(MXNetError, match="^bad: "):
        buffer.wait_to_read()
    assert not ran


def test_failing_overwrite_replaces_the_error(push):
    buffer = _engine.Buffer(8)
    push(fail_with(ValueError("old")), [], [buffer], "one")
    push(fail_with(ValueError("new")), [], [buffer], "two")
    with pytest.raises(MXNetError, match="^two: ValueError: new$"):
        buffer.wait_to_read()


def test_waitall_raises_each_unreported_error_once_oldest_first(push, forget_errors):
    a, b, c = _engine.Buffer(8), _engine.Buffer(8), _engine.Buffer(8)
    for number, buffer in enumerate((a, b, c)):
        push(fail_with(ValueError("no")), [], [buffer], f"task{number}")
    with pytest.raises(MXNetError):
        b.wait_to_read()  # counts as reported
    assert forget_errors() == ["task0: ValueError: no", "task2: ValueError: no"]
    with pytest.raises(MXNetError, match="^task0"):
        a.wait_to_read()  # still poisoned


def test_error_without_any_write_surfaces_at_waitall(push):
    push(fail_with(ValueError("no")), [], [], "lonely")
    with pytest.raises(MXNetError, match="^lonely: ValueError: no$"):
        _engine.waitall()
    _engine.waitall()


def test_reported_errors_leave_room_for_new_ones(push, forget_errors):
    buffer = _engine.Buffer(8)
    for _ in range(300):
        push(fail_with(ValueError("old")), [], [buffer], "told")
        with pytest.raises(MXNetError):
            buffer.wait_to_read()
    push(fail_with(ValueError("new")), [], [], "untold")
    assert forget_errors() == ["untold: ValueError: new"]


def test_label_is_not_said_twice(push):
    buffer = _engine.Buffer(8)
    for message, wanted in (
        ("exp 'e1': bad input", "exp 'e1': bad input"),
        ("exp: bad input", "exp: bad input"),
        ("expected a number", "exp: expected a number"),
        ("", "exp: failed without a message"),
    ):
        push(fail_with(MXNetError(message)), [], [buffer], "exp")
        with pytest.raises(MXNetError) as info:
            buffer.wait_to_read()
        assert str(info.value) == wanted


def test_out_of_memory_stays_a_memory_error(push):
    a, b = _engine.Buffer(8), _engine.Buffer(8)
    push(lambda: _engine.Buffer(1 << 60), [], [a], "conv")
    push(lambda: None, [a], [b])
    with pytest.raises(MemoryError, match=f"^conv: out of memory on cpu\\(0\\): asked for {1 << 60} bytes"):
        b.wait_to_read()


def test_long_message_is_cut_not_overrun(push):
    buffer = _engine.Buffer(8)
    push(fail_with(MXNetError("x" * 5000)), [], [buffer], "long")
    with pytest.raises(MXNetError, match="^long: x{900,1020}$"):
        buffer.wait_to_read()
