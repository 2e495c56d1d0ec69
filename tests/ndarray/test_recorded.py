"""The answers of MXNet 1.9.1 to 270 expressions are cymx's answers."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import cymx as mx

_spec = importlib.util.spec_from_file_location("recorded", Path(__file__).with_name("recorded.py"))
recorded = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(recorded)
ANSWERS = json.loads(recorded.FILE.read_text())


@pytest.mark.parametrize("expression", recorded.EXPRESSIONS)
def test_answer(expression):
    agree(recorded.ask(mx.nd, expression), ANSWERS[expression])


def agree(came, wanted):
    if isinstance(wanted, list):
        assert len(came) == len(wanted)
        for one, other in zip(came, wanted):
            agree(one, other)
    elif isinstance(wanted, dict) and "error" in wanted:
        # What was a failed assertion there is an error of the library here.
        kinds = {"AssertionError": "MXNetError"}
        assert kinds.get(wanted["error"][0], wanted["error"][0]) in came["error"]
    elif isinstance(wanted, dict):
        assert (came["dtype"], came["shape"]) == (wanted["dtype"], wanted["shape"])
        rtol = 1e-6 if came["dtype"].startswith("float") else 0
        np.testing.assert_allclose(came["values"], wanted["values"], rtol=rtol)
    else:
        assert came == wanted
