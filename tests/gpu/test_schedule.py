"""The places of steps in a captured graph: each comes after all that it depends on, and branches run side by side."""

import random

import pytest

from cymx.gpu.plan import N_LANES, schedule

ARENA = 9


def row(reads, writes, scratch=(0, 0)):
    """Return a step's row; operands are (slot, offset, n) of float32."""
    operands = lambda uses: [(slot, offset, (n,), "float32") for slot, offset, n in uses]
    return ("map", "", operands(reads), operands(writes), (), scratch, 0, 0)


def places(rows, n_forward=None):
    return schedule(rows, ARENA, len(rows) if n_forward is None else n_forward)


def test_a_chain_stays_in_one_lane():
    assert places([row([(0, 0, 4)], [(1, 0, 4)]), row([(1, 0, 4)], [(2, 0, 4)]), row([(2, 0, 4)], [(3, 0, 4)])]) == [
        (0, ()),
        (0, ()),
        (0, ()),
    ]


def test_branches_get_lanes_of_their_own_and_join():
    rows = [
        row([(0, 0, 4)], [(1, 0, 4)]),
        row([(1, 0, 4)], [(2, 0, 4)]),
        row([(1, 0, 4)], [(3, 0, 4)]),
        row([(2, 0, 4), (3, 0, 4)], [(4, 0, 4)]),
    ]
    assert places(rows) == [(0, ()), (0, ()), (1, (0,)), (1, (1,))]


def test_memory_that_is_used_again_makes_a_step_wait():
    # The third step writes what the second reads, and shares no value with it.
    rows = [
        row([(0, 0, 4)], [(ARENA, 0, 4)]),
        row([(ARENA, 0, 4)], [(1, 0, 4)]),
        row([(2, 0, 4)], [(ARENA, 8, 4)]),
        row([(3, 0, 4)], [(ARENA, 64, 4)]),
    ]
    found = places(rows)
    assert found[2] == (0, ())  # behind the reader, in its lane
    assert found[3].lane != 0 and found[3].after == ()


def test_scratch_is_memory_that_is_written():
    steps = lambda n: [row([(i, 0, 4)], [(i + 2, 0, 4)], scratch=(32 * i, n)) for i in range(2)]
    assert places(steps(64)) == [(0, ()), (0, ())]
    assert places(steps(32))[1].lane == 1


def test_backward_is_captured_apart():
    rows = [row([(0, 0, 4)], [(1, 0, 4)]), row([(1, 0, 4)], [(2, 0, 4)])]
    assert places(rows, n_forward=1) == [(0, ()), (0, ())]


@pytest.mark.parametrize("seed", range(30))
def test_no_conflict_is_left_unordered(seed):
    """Work out all orders that lanes and waits impose, and look at every pair of steps that touch the same bytes."""
    draw = random.Random(seed)
    span = lambda: (draw.randrange(3), 4 * draw.randrange(8), draw.randrange(1, 5))
    rows = [row([span() for _ in range(2)], [span()]) for _ in range(25)]
    found = places(rows)
    before = []  # of each step, all that are sure to be done when it starts
    tails = {}
    for number, place in enumerate(found):
        assert 0 <= place.lane < N_LANES
        assert all(found[k].lane != place.lane for k in place.after)
        direct = [*place.after, *([tails[place.lane]] if place.lane in tails else [])]
        before.append(set(direct).union(*(before[k] for k in direct)))
        tails[place.lane] = number

    def touches(number):
        _, _, reads, writes, *_ = rows[number]
        return [(s, o, o + 4 * n[0], w) for uses, w in ((reads, 0), (writes, 1)) for s, o, n, _ in uses]

    for later in range(25):
        for earlier in range(later):
            for a in touches(earlier):
                for b in touches(later):
                    if a[0] == b[0] and a[1] < b[2] and b[1] < a[2] and (a[3] or b[3]):
                        assert earlier in before[later], (earlier, later)
