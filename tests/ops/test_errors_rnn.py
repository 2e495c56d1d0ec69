"""What the recurrent and the ordering operators refuse, and in which words."""

import pytest
from ops.refusals import refusal

LSTM = {"mode": "lstm", "state_size": 3, "num_layers": 1}
SHAPES = [(5, 2, 4), (108,), (1, 2, 3), (1, 2, 3)]

# operator, inputs' shapes, settings, what the error says after "operator 'n': ".
REFUSED = [
    ("RNN", SHAPES, {**LSTM, "projection_size": 2},
     "projection_size is 2, expected None: there are no projected states on the CPU"),
    ("RNN", SHAPES, {**LSTM, "use_sequence_length": True},
     "use_sequence_length is True, expected False: mask the output with SequenceMask instead"),
    ("RNN", SHAPES, {**LSTM, "lstm_state_clip_min": -1.0},
     "lstm_state_clip_min, _max or _nan came, expected none: states are not clipped on the CPU"),
    ("RNN", SHAPES, {**LSTM, "mode": "elman"},
     "mode is 'elman', expected one of 'gru', 'lstm', 'rnn_relu', 'rnn_tanh'"),
    ("RNN", [(5, 4), *SHAPES[1:]], LSTM, "data is (5, 4), expected (steps, batch, inputs)"),
    ("RNN", [SHAPES[0], (100,), *SHAPES[2:]], LSTM,
     "parameters is (100,), expected (108,) from mode=lstm, state_size=3, num_layers=1, "
     "data (5, 2, 4) and state (1, 2, 3)"),
    ("RNN", [*SHAPES[:2], (1, 4, 3), SHAPES[3]], LSTM,
     "state is (1, 4, 3), expected (1, 2, 3) from mode=lstm, state_size=3, num_layers=1, "
     "data (5, 2, 4) and parameters (108,)"),
    ("topk", [(4, 3)], {"k": 4}, "k is 4, expected at most 3, the size of data (4, 3) along axis -1"),
    ("topk", [(4, 3)], {"axis": 2}, "axis is 2, expected -2 to 1 for 2 dimensions"),
    ("sort", [(4, 3)], {"axis": 2}, "axis is 2, expected -2 to 1 for 2 dimensions"),
    ("argsort", [(4, 3)], {"dtype": "int8"},
     "dtype is 'int8', expected one of 'float16', 'float32', 'float64', 'int32', 'int64', 'uint8'"),
]  # fmt: skip


@pytest.mark.parametrize("op, shapes, params, words", REFUSED)
def test_refuses(op, shapes, params, words):
    assert refusal(op, shapes, params).endswith(words)
