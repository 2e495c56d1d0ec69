"""The process: import, fork, exit, shutdown.  Each script runs in an interpreter of its own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import cymx

PRELUDE = """
import os, sys, threading, time
from cymx import _engine
from cymx.base import MXNetError

def leave_child(check):
    try:
        check()
    except BaseException as error:
        print("child:", repr(error), file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)

def in_main_thread():
    return threading.current_thread() is threading.main_thread()

def fork(check):
    pid = os.fork()
    if pid == 0:
        leave_child(check)
    assert os.waitpid(pid, 0)[1] == 0
"""


def run(script):
    """Run a script; return what it printed."""
    done = subprocess.run(
        # Since 3.12 Python itself warns of every fork beside threads, which is what these tests are about.
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", PRELUDE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(cymx.__file__).parents[1],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # NumPy's own threads would be counted
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def test_import_starts_no_thread():
    assert run("print(len(os.listdir('/proc/self/task')) if os.path.isdir('/proc/self/task') else 1)") == "1\n"


def test_first_queued_task_starts_one_worker():
    assert (
        run("""
        _engine.push_callable(lambda: None, [], [], "task", small=True)
        print(threading.active_count())
        _engine.push_callable(lambda: print(not in_main_thread()), [], [], "task")
        _engine.waitall()
    """)
        == "1\nTrue\n"
    )


def test_exit_finishes_pending_tasks():
    assert (
        run("""
        buffer = _engine.Buffer(8)
        for i in range(3):
            _engine.push_callable(lambda i=i: (time.sleep(0.01), print("task", i)), [], [buffer], "task")
    """)
        == "task 0\ntask 1\ntask 2\n"
    )


def test_push_and_release_after_shutdown():
    assert (
        run("""
        buffer, other = _engine.Buffer(8), _engine.Buffer.wrap(bytearray(8))
        _engine.push_callable(lambda: None, [], [buffer], "early")
        _engine.shutdown()
        _engine.shutdown()
        _engine.push_callable(lambda: print(in_main_thread()), [other], [buffer], "late")
        _engine.push_callable(lambda: 1 / 0, [], [buffer], "bad")
        try:
            buffer.wait_to_read()
        except MXNetError as error:
            print(error)
        sys.kept = [buffer, other]  # released when the interpreter is taken down
    """)
        == "True\nbad: ZeroDivisionError: division by zero\n"
    )


def test_exit_with_unreported_errors_is_silent():
    assert run('_engine.push_callable(lambda: 1 / 0, [], [_engine.Buffer(8)], "bad")') == ""


def test_child_works_and_parent_is_unaffected():
    assert (
        run("""
        done, buffer = [], _engine.Buffer(8)
        def push(name):
            def run():
                time.sleep(0.0005)
                done.append(name)
            for i in range(20):
                _engine.push_callable(run, [buffer], [buffer], name, 1, i % 2)
        def check():
            assert len(done) == 20  # what was pending at the fork was finished before
            push("child")
            buffer.wait_to_read()
            assert done[20:] == ["child"] * 20
            _engine.shutdown()
        push("parent")
        fork(check)
        push("parent")
        _engine.waitall()
        print(len(done), set(done))
    """)
        == "40 {'parent'}\n"
    )


def test_child_of_a_child_and_of_naive_engine():
    run("""
        buffer = _engine.Buffer(8)
        def work():
            ran = []
            for _ in range(5):
                _engine.push_callable(lambda: ran.append(1), [buffer], [buffer], "task")
            _engine.waitall()
            assert len(ran) == 5
        work()
        fork(lambda: (work(), fork(work), work()))
        _engine.set_engine_type("NaiveEngine")
        fork(work)
        work()
    """)


def test_task_lost_in_fork_poisons_its_buffer_in_the_child():
    # A fork inside a task cannot wait for the others.
    run("""
        held, read, free, gate = _engine.Buffer(8), _engine.Buffer(8), _engine.Buffer(8), threading.Event()
        _engine.push_callable(lambda: gate.wait(20), [read], [held], "pending", 1, 1)
        def check():
            for wait in (held.wait_to_read, held.wait_to_write):
                try:
                    wait()
                except MXNetError as error:
                    assert "pending in the parent process" in str(error)
                else:
                    raise AssertionError("the lost write was not told")
            read.wait_to_write()
            free.wait_to_read()
            _engine.push_callable(lambda: None, [], [held], "overwrite")
            # This thread is inside a task for ever, so it cannot wait for the queue; a thread of the child can.
            errors = []
            def wait():
                try:
                    held.wait_to_read()
                except BaseException as error:
                    errors.append(error)
            thread = threading.Thread(target=wait)
            thread.start()
            thread.join()
            assert not errors
        _engine.push_callable(lambda: fork(check), [], [], "forker", small=True)
        gate.set()
        _engine.waitall()
        held.wait_to_read()
    """)


def test_child_uses_one_openmp_thread():
    # Its parent's OpenMP threads are lost, and a parallel region in the child would wait for them.
    assert (
        run("""
        import ctypes
        with open("/proc/self/maps") as maps:
            libraries = {line.split()[-1] for line in maps if "libgomp" in line}
        openmp = [ctypes.CDLL(path) for path in libraries]
        def check():
            assert [library.omp_get_max_threads() for library in openmp] == [1] * len(openmp)
        for library in openmp:
            library.omp_set_num_threads(3)
        fork(check)
        print(len(openmp) >= 1, {library.omp_get_max_threads() for library in openmp})
    """)
        == "True {3}\n"
    )


def test_multiprocessing_fork_pool():
    assert (
        run("""
        import multiprocessing
        def double(x):
            out, result = _engine.Buffer(8), []
            _engine.push_callable(lambda: result.append(2 * x), [], [out], "double")
            out.wait_to_read()
            return result[0]
        double(1)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(double, range(6)))
    """)
        == "[0, 2, 4, 6, 8, 10]\n"
    )


@pytest.mark.parametrize("engine_type", ["ThreadedEnginePerDevice", "NaiveEngine"])
def test_daemon_thread_that_pushes_to_the_end(engine_type):
    run(f"""
        _engine.set_engine_type("{engine_type}")
        buffer = _engine.Buffer(8)
        def work():
            while True:
                _engine.push_callable(int, [], [buffer], "task")
        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.02)
    """)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads in /proc")
def test_one_thread_at_a_time_holds_a_team():
    assert run("""
        import ctypes
        import cymx as mx
        runtime = ctypes.CDLL("libgomp.so.1")
        runtime.omp_set_num_threads(2)
        count = lambda: len(os.listdir("/proc/self/task"))
        def settled(n):
            until = time.monotonic() + 20
            while count() != n and time.monotonic() < until:
                time.sleep(0.01)
            return count()
        small, large = mx.nd.ones((256, 256)), None
        small = small + small
        mx.nd.waitall()
        print("at once:", settled(2))
        for _ in range(3):
            large = mx.nd.ones((1024, 1024)) + 1
        # What the worker's own new thread has to itself: one team, of two.
        _engine.push_callable(lambda: runtime.omp_set_num_threads(2), [], [], "task")
        large = large + large
        small = small + small
        mx.nd.waitall()
        print("queued, then at once:", count())
        print("idle:", settled(2))
        small = small + small
        small.wait_to_read()
        print("at once again:", settled(3))
    """).splitlines() == ["at once: 2", "queued, then at once: 3", "idle: 2", "at once again: 3"]
