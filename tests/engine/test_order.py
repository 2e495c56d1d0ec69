"""Order: whatever runs where and when, values are as if tasks had run one after the other in the order of push."""

import random
import threading
import time

import numpy as np
import pytest

from cymx import _engine
from cymx.base import MXNetError

N_BUFFERS = 7
WAIT_S = 20


def values_of(buffer):
    return np.frombuffer(buffer, dtype=np.uint64)


class SerialModel:
    """Push random tasks and keep what every value must become."""

    def __init__(self):
        self.buffers = [_engine.Buffer(8, 1, i % 2) for i in range(N_BUFFERS)]
        self.arrays = [values_of(b) for b in self.buffers]
        for i, array in enumerate(self.arrays):
            array[0] = i
        self.expected = list(range(N_BUFFERS))
        self.lock = threading.Lock()
        self.n_pushed = 0

    @staticmethod
    def mix(number, inputs):
        result = number
        for value in inputs:
            result = (result * 1_000_003 + int(value)) % 2**64
        return result

    def push(self, rng):
        """Push one task; the lock makes the order of push known to the model."""
        reads = [rng.randrange(N_BUFFERS) for _ in range(rng.randrange(4))]
        writes = [rng.randrange(N_BUFFERS) for _ in range(rng.randrange(3))]
        device_id, small, pause = rng.randrange(3), rng.random() < 0.5, rng.random() < 0.02
        with self.lock:
            number = self.n_pushed = self.n_pushed + 1
            mixed = self.mix(number, [self.expected[i] for i in reads])
            for i in writes:
                self.expected[i] = mixed

            def run():
                if pause:
                    time.sleep(0.001)
                mixed = self.mix(number, [self.arrays[i][0] for i in reads])
                for i in writes:
                    self.arrays[i][0] = mixed

            read_buffers, written_buffers = ([self.buffers[i] for i in which] for which in (reads, writes))
            _engine.push_callable(run, read_buffers, written_buffers, f"task{number}", 1, device_id, small)

    def check_one(self, rng):
        i = rng.randrange(N_BUFFERS)
        with self.lock:
            self.buffers[i].wait_to_read()
            assert int(self.arrays[i][0]) == self.expected[i]

    def check(self):
        _engine.waitall()
        assert [int(a[0]) for a in self.arrays] == self.expected


@pytest.mark.parametrize("seed", range(5))
def test_random_graph_equals_serial_model(any_engine, seed):
    rng, model = random.Random(seed), SerialModel()
    _engine.set_queue_limit(rng.choice([1, 4, 1024]))
    for _ in range(300):
        model.push(rng)
        if rng.random() < 0.05:
            model.check_one(rng)
    model.check()


@pytest.mark.parametrize("seed", range(2))
def test_many_pushing_threads_equal_serial_model(any_engine, seed):
    model, failures = SerialModel(), []

    def work(thread):
        rng = random.Random(seed * 100 + thread)
        try:
            for _ in range(80):
                model.push(rng)
                if rng.random() < 0.05:
                    model.check_one(rng)
        except BaseException as error:  # an assertion in a thread must fail the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(t,)) for t in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    model.check()


def test_tasks_of_one_context_run_first_in_first_out():
    order, gate = [], threading.Event()
    _engine.push_callable(lambda: gate.wait(WAIT_S), [], [], "gate")
    for i in range(50):
        _engine.push_callable(lambda i=i: order.append(i), [], [_engine.Buffer(8)], "note")
    gate.set()
    _engine.waitall()
    assert order == list(range(50))


def test_readers_in_two_contexts_run_together():
    shared, meeting = _engine.Buffer(8), threading.Barrier(2)
    for device_id in range(2):
        _engine.push_callable(lambda: meeting.wait(WAIT_S), [shared], [], "meet", 1, device_id)
    _engine.waitall()  # a broken barrier would be a task's error


def test_each_context_has_one_worker_of_its_own():
    names = {}

    def note(device_id):
        names.setdefault(device_id, set()).add(threading.get_ident())

    for device_id in (0, 1, 0, 1):
        _engine.push_callable(lambda d=device_id: note(d), [], [_engine.Buffer(8)], "who", 1, device_id)
    _engine.waitall()
    assert len(names[0]) == len(names[1]) == 1
    assert len({threading.get_ident()} | names[0] | names[1]) == 3


def test_small_free_task_runs_at_once_in_the_caller():
    ran = []
    a, b = _engine.Buffer(8), _engine.Buffer(8)
    _engine.push_callable(lambda: ran.append(threading.get_ident()), [a, b, a], [b, b], "small", small=True)
    assert ran == [threading.get_ident()]


def test_small_task_stands_in_line_behind_a_pending_writer():
    order, gate, buffer = [], threading.Event(), _engine.Buffer(8)

    def slow():
        gate.wait(WAIT_S)
        order.append("slow")

    _engine.push_callable(slow, [], [buffer], "slow")
    _engine.push_callable(lambda: order.append("small"), [buffer], [], "small", small=True)
    assert order == []
    gate.set()
    _engine.waitall()
    assert order == ["slow", "small"]


def test_naive_engine_runs_every_task_in_the_caller():
    _engine.set_engine_type("NaiveEngine")
    ran = []
    _engine.push_callable(lambda: ran.append(threading.get_ident()), [], [_engine.Buffer(8)], "large")
    assert ran == [threading.get_ident()]


def test_engine_type_is_told_and_checked():
    _engine.set_engine_type("NaiveEngine")
    assert _engine.engine_type() == "NaiveEngine"
    _engine.set_engine_type("ThreadedEngine")
    assert _engine.engine_type() == "ThreadedEnginePerDevice"
    with pytest.raises(MXNetError, match="engine type 'FastEngine'"):
        _engine.set_engine_type("FastEngine")


def test_push_blocks_while_the_queue_is_full():
    _engine.set_queue_limit(2)
    gate, third = threading.Event(), threading.Event()
    for _ in range(2):
        _engine.push_callable(lambda: gate.wait(WAIT_S), [], [], "gate")

    def push_third():
        _engine.push_callable(lambda: None, [], [], "third")
        third.set()

    thread = threading.Thread(target=push_third)
    thread.start()
    assert not third.wait(0.05)
    gate.set()
    assert third.wait(WAIT_S)
    thread.join()


def test_queue_limit_below_one_is_refused():
    with pytest.raises(MXNetError, match="at least 1"):
        _engine.set_queue_limit(0)


def test_task_pushes_past_the_bound_without_deadlock(any_engine):
    _engine.set_queue_limit(1)
    order, buffer = [], _engine.Buffer(8)

    def outer():
        for i in range(5):  # each needs what outer holds
            _engine.push_callable(lambda i=i: order.append(i), [], [buffer], "inner", small=i % 2 == 0)
        order.append("outer")

    _engine.push_callable(outer, [], [buffer], "outer")
    _engine.waitall()
    assert order == ["outer", 0, 1, 2, 3, 4]


@pytest.mark.parametrize("wait", ["waitall", "own write", "another's write"])
def test_wait_inside_a_task_is_an_error_not_a_deadlock(wait):
    own, other, gate = _engine.Buffer(8), _engine.Buffer(8), threading.Event()
    _engine.push_callable(lambda: gate.wait(WAIT_S), [], [other], "gate", 1, 1)
    waits = {"waitall": _engine.waitall, "own write": own.wait_to_read, "another's write": other.wait_to_read}
    _engine.push_callable(waits[wait], [], [own], "waiter")
    with pytest.raises(MXNetError, match="waiter: a task waits .* block for ever"):
        own.wait_to_read()
    gate.set()


def test_wait_inside_a_task_for_what_it_reads_is_allowed(any_engine):
    read, written = _engine.Buffer(8), _engine.Buffer(8)
    _engine.push_callable(read.wait_to_read, [read], [written], "reader")
    written.wait_to_read()


def test_queued_task_keeps_its_buffers_and_drops_its_callable():
    gate, buffer = threading.Event(), _engine.Buffer(1000, 1, 5)
    live = _engine.memory_stats(1, 5)["live_bytes"]

    class Callable:
        def __call__(self):
            gate.wait(WAIT_S)

        def __del__(self):
            dropped.set()

    dropped = threading.Event()
    _engine.push_callable(Callable(), [], [buffer], "holder", 1, 5)
    del buffer
    assert _engine.memory_stats(1, 5)["live_bytes"] == live
    gate.set()
    _engine.waitall()
    assert dropped.is_set()
    assert _engine.memory_stats(1, 5)["live_bytes"] == live - 1000
