"""nd.save and nd.load; the bytes themselves are tested with the format."""

import numpy as np
import pytest

import cymx as mx
from cymx import nd


def test_list_dict_and_single(tmp_path):
    a, b = nd.array([[1, 2]]), nd.array([3], dtype="bfloat16")
    path = tmp_path / "x.params"
    nd.save(path, {"arg:a": a, "b": b})
    loaded = nd.load(str(path))
    assert list(loaded) == ["arg:a", "b"] and loaded["b"].dtype is b.dtype
    assert loaded["arg:a"].asnumpy().tolist() == [[1, 2]]
    nd.save(str(path), [b, a])
    assert [x.shape for x in nd.load_frombuffer(path.read_bytes())] == [(1,), (1, 2)]
    nd.save(str(path), a)
    assert len(nd.load(str(path))) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["x.params"]


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.params"
    nd.save(path, nd.ones(2))
    before = path.read_bytes()
    with pytest.raises(mx.MXNetError, match="array 0"):
        nd.save(path, [nd.array(3)])
    assert path.read_bytes() == before


@pytest.mark.parametrize("data", [3, (1,), [1], {"a": np.ones(2)}, {1: 2}])
def test_save_refuses_what_is_no_array(tmp_path, data):
    with pytest.raises((ValueError, TypeError)):
        nd.save(tmp_path / "x.params", data)


def test_files_that_are_not_there():
    with pytest.raises(mx.MXNetError, match="cannot read 'no/such/file': No such file"):
        nd.load("no/such/file")
    with pytest.raises(mx.MXNetError, match="cannot write 'no/such/file': No such file"):
        nd.save("no/such/file", nd.ones(1))
    with pytest.raises(TypeError):
        nd.load(1)
