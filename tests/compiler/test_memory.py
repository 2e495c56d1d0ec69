"""Memory: values alive at once never share a byte, in place only where it is legal; lifetimes are worked out anew."""

import numpy as np
import pytest
from compiler.random_graph import random_graph
from compiler.support import ALL_OPTIONS, Seen, compiled
from compiler.test_fuse import root

import cymx as mx
from cymx import _ops
from cymx.base import NUMPY_DTYPES


def n_bytes(entry):
    return int(np.prod(entry.shape)) * NUMPY_DTYPES[entry.dtype].itemsize


def check(seen):
    steps, places, never = seen.steps, seen.places, len(seen.steps)
    lives = {}  # value -> (made, last used)
    for i, step in enumerate(steps):
        for e in step.outputs:
            if e not in seen.outside:
                lives[e] = (i, i)
        for e in map(root, step.inputs):
            if e in lives:
                made = lives[e][0]
                lives[e] = (made, never if step.backward and not steps[made].backward else max(lives[e][1], i))
    spans = [(places.offsets[e], places.offsets[e] + n_bytes(e), *life, e) for e, life in lives.items()]
    spans += [(at, at + n, i, i, None) for i, (at, n) in places.scratch.items()]
    assert {i: n for i, (_, n) in places.scratch.items()} == {i: n for i, n in enumerate(seen.scratch_bytes) if n}
    for start, stop, *_ in spans:
        assert start % 64 == 0 and stop <= places.arena_bytes
    for i, (start, stop, made, last, u) in enumerate(spans):
        for start2, stop2, made2, last2, w in spans[i + 1 :]:
            if start >= stop2 or start2 >= stop or last < made2 or last2 < made:
                continue
            first, then = (u, w) if made <= made2 else (w, u)
            assert first is not None and then is not None and max(made, made2) == lives[first][1] < never
            step = steps[max(made, made2)]
            reads = [e for e in step.inputs if root(e) == first]
            assert step.is_program and then.node not in step.tails
            assert start == start2 and stop == stop2 and [e.shape for e in reads] == [then.shape]


@pytest.mark.parametrize("seed", range(200, 240))
def test_random_graphs(seed, monkeypatch):
    seen = Seen(monkeypatch)
    rng = np.random.default_rng(seed)
    symbol, _, args, used = random_graph(rng, int(rng.integers(5, 80)))
    shapes = {n: args[n].shape for n in used}
    for options in ALL_OPTIONS:
        compiled(symbol, True, {n: ("add", "write")[i % 2] for i, n in enumerate(used)}, options, **shapes)
        check(seen)
        compiled(symbol, options=options, **shapes)
        check(seen)


def test_convolutions_whose_library_wants_scratch(monkeypatch):
    seen = Seen(monkeypatch)
    x = mx.sym.Variable("x")
    for i in range(3):
        x = mx.sym.Activation(
            mx.sym.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=64, name=f"c{i}"), act_type="tanh"
        )
    shapes = {
        "x": (2, 64, 8, 8),
        **{f"c{i}_weight": (64, 64, 3, 3) for i in range(3)},
        **{f"c{i}_bias": (64,) for i in range(3)},
    }
    compiled(x, True, dict.fromkeys(shapes, "write"), **shapes)
    check(seen)
    assert bool(seen.places.scratch) == _ops.onednn()


@pytest.mark.parametrize("seed", range(10))
def test_scratch_of_any_size(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(_ops, "scratch_bytes", lambda *launch: int(rng.integers(1, 9000)))
    seen = Seen(monkeypatch)
    symbol, _, args, used = random_graph(rng, int(rng.integers(20, 80)))
    for options in ALL_OPTIONS:
        compiled(symbol, True, dict.fromkeys(used, "write"), options, **{n: args[n].shape for n in used})
        assert seen.places.scratch
        check(seen)


def test_gradients_are_made_before_their_inputs_grow_old():
    """Weight gradients are nobody's inputs: each is made before the layer below goes back, so that few values live."""
    x = mx.sym.Variable("x")
    for i in range(20):
        x = mx.sym.Activation(mx.sym.dot(x, mx.sym.Variable(f"w{i}")), act_type="tanh")
    shapes = {"x": (32, 32), **{f"w{i}": (32, 32) for i in range(20)}}
    n_kept, n_at_a_time = 19, 3
    assert (
        compiled(x, True, dict.fromkeys(shapes, "write"), **shapes).arena_bytes <= (n_kept + n_at_a_time) * 32 * 32 * 4
    )


def test_a_chain_lives_in_two_values():
    x = mx.sym.Variable("x")
    for _ in range(20):
        x = mx.sym.softmax(x)
    assert compiled(x, x=(16, 16)).arena_bytes <= 2 * 16 * 16 * 4


def test_without_sharing_everything_has_its_own(monkeypatch):
    seen = Seen(monkeypatch)
    x = mx.sym.Variable("x")
    for _ in range(20):
        x = mx.sym.softmax(x)
    compiled(x, options=next(o for o in ALL_OPTIONS if not o.share_memory), x=(16, 16))
    assert len(set(seen.places.offsets.values())) == len(seen.places.offsets) == 19
