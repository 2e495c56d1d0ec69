"""The bytes of .params files: what MXNet 1.9.1 wrote comes back byte for byte; no damage reads past the end."""

import os
import stat
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cymx.base import MXNetError
from cymx.files import write_atomic
from cymx.ndarray.params_format import MAX_NDIM, Tensor, dump_bytes, load_bytes

HERE = Path(__file__).parent
WRITTEN = ("dtypes", "list", "single", "sparse", "mxnet191-0001")


def read(name):
    return (HERE / f"{name}.params").read_bytes()


def array_file(*parts):
    """A file of one unnamed array, from the array's bytes."""
    return struct.pack("<3Q", 0x112, 0, 1) + b"".join(parts) + struct.pack("<Q", 0)


@pytest.mark.parametrize("name", WRITTEN)
def test_written_files_come_back_byte_for_byte(name):
    assert dump_bytes(*load_bytes(read(name))) == read(name)


def test_numpy_shapes():
    tensors, names = load_bytes(read("np_shape"))
    assert names == []
    assert [t.values.tolist() for t in tensors] == [3.0, [], [0.0, 1.0]]
    assert [t.shape for t in tensors] == [(), (0, 3), (2,)]
    assert dump_bytes(tensors, np_shape=True) == read("np_shape")


def test_dtypes():
    tensors, names = load_bytes(read("dtypes"))
    assert sorted(names) == sorted("float32 float64 float16 uint8 int8 int32 int64 bool".split())
    for t, name in zip(tensors, names, strict=True):
        assert t.values.dtype == name
        np.testing.assert_array_equal(t.values, np.array([[1, 0, 2], [3, 4, 5]]).astype(name))


def test_list_and_single():
    tensors, names = load_bytes(read("list"))
    assert names == [] and [t.values.tolist() for t in tensors] == [[0, 1, 2], [[1, 1]]]
    tensors, names = load_bytes(read("single"))
    assert names == [] and [t.values.tolist() for t in tensors] == [[0, 1, 2]]


def test_sparse():
    tensors, names = load_bytes(read("sparse"))
    by_name = dict(zip(names, tensors, strict=True))
    rows, csr, none = by_name["row_sparse"], by_name["csr"], by_name["no_rows"]
    assert (rows.stype, rows.shape, rows.values.tolist(), rows.aux[0].tolist()) == (
        "row_sparse",
        (5, 2),
        [[1, 2], [3, 4]],
        [0, 3],
    )
    assert (csr.stype, csr.shape, csr.values.tolist()) == ("csr", (3, 4), [1, 2, 3])
    assert [a.tolist() for a in csr.aux] == [[0, 1, 1, 3], [0, 2, 1]]
    assert (none.shape, none.values.shape, none.aux[0].shape) == ((3, 2), (0, 2), (0,))


@pytest.mark.parametrize("name", ["v0", "v1"])
def test_layouts_before_v2(name):
    tensors, names = load_bytes(read(name))
    assert names == ["w"]
    shape = {"v0": (4, 1), "v1": (2, 2)}[name]
    np.testing.assert_array_equal(tensors[0].values, np.array([1, 2, 3, 4], "f4").reshape(shape))
    assert tensors[0].context == {"v0": (2, 3), "v1": (1, 0)}[name]


@pytest.mark.parametrize(
    "head", [struct.pack("<I", 0), struct.pack("<Ii", 0xF993FAC8, 0), struct.pack("<Iii", 0xF993FAC9, 0, 0)]
)
def test_empty_arrays_hold_nothing(head):
    (tensor,), _ = load_bytes(array_file(head))
    assert tensor.values is None and tensor.shape is None


def test_bfloat16_comes_back():
    values = np.array([[1.5, -2.0]], ml_dtypes.bfloat16)
    data = dump_bytes([Tensor(values)], ["x"])
    assert data[24 + 4 + 4 + 4 + 16 + 8 :][:4] == struct.pack("<i", 12)
    (tensor,), _ = load_bytes(data)
    assert tensor.values.dtype == ml_dtypes.bfloat16 and tensor.values.tolist() == values.tolist()


def test_names_keep_every_character():
    tensors = [Tensor(np.zeros(1, "f4"))] * 3
    assert load_bytes(dump_bytes(tensors, ["é", "", "arg:a b"]))[1] == ["é", "", "arg:a b"]


def test_arrays_are_read_only_views():
    data = read("single")
    values = load_bytes(data)[0][0].values
    assert not values.flags.writeable and not values.flags.owndata


def test_strided_arrays_are_written_in_row_major_order():
    base = np.arange(6, dtype="f4").reshape(2, 3)
    assert dump_bytes([Tensor(base.T)]) == dump_bytes([Tensor(base.T.copy())])


@pytest.mark.parametrize(
    ("tensor", "np_shape", "problem"),
    [
        (Tensor(None), False, "empty"),
        (Tensor(np.zeros((), "f4")), False, "scalars"),
        (Tensor(np.zeros(1, "c8")), False, "complex64"),
        (Tensor(np.zeros((1, 2), "f4"), "row_sparse", (3, 2), (np.zeros(1, "i8"),)), True, "dense"),
        (Tensor(np.zeros(1, "f4"), "csr", (1, 1)), False, "0 index arrays"),
    ],
)
def test_what_a_file_cannot_hold_is_refused(tensor, np_shape, problem):
    with pytest.raises(MXNetError, match=f"array 1 'b'.*{problem}"):
        dump_bytes([Tensor(np.zeros(1, "f4")), tensor], ["a", "b"], np_shape)


def test_names_must_match_arrays():
    with pytest.raises(MXNetError, match="2 names came for 1 arrays"):
        dump_bytes([Tensor(np.zeros(1, "f4"))], ["a", "b"])


HEAD = struct.pack("<Ii", 0xF993FAC9, 0)
ONE = array_file(HEAD, struct.pack("<iq3i", 1, 1, 1, 0, 0), bytes(4))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "header, byte 0 of 0: magic number needs 8 bytes, but 0 remain"),
        (b"PK\3\4" * 8, "magic number is 0x4034b5004034b50, expected 0x112"),
        (struct.pack("<3Q", 0x112, 0, 1 << 60), "number of arrays is 1152921504606846976"),
        (array_file(struct.pack("<I", 0xDEADBEEF)), "array 0 of 1.*magic number is 0xdeadbeef"),
        (array_file(struct.pack("<Ii", 0xF993FAC9, 7)), "storage type is 7"),
        (array_file(HEAD, struct.pack("<i", -1)), "shape has -1 dimensions"),
        (array_file(HEAD, struct.pack("<i", MAX_NDIM + 1), bytes(400)), "shape has 33 dimensions, expected 0 to 32"),
        (array_file(HEAD, struct.pack("<2i", 2, 1)), "shape needs 16 bytes, but 12 remain"),
        (array_file(HEAD, struct.pack("<iq", 1, -4), bytes(99)), r"shape is \(-4,\)"),
        (array_file(HEAD, struct.pack("<i2q", 2, 0, 1 << 62), bytes(99)), "which no array can have"),
        (
            array_file(HEAD, struct.pack("<i2q3i", 2, 1 << 28, 1 << 28, 1, 0, 0)),
            r"data \(float32, shape .* needs 288230376151711744 bytes, but 8 remain",
        ),
        (array_file(HEAD, struct.pack("<iq3i", 1, 1, 1, 0, 99), bytes(4)), "dtype flag is 99"),
        (ONE[:-8] + struct.pack("<Q", 1 << 40), "number of names is"),
        (ONE[:-8] + struct.pack("<3Q", 2, 0, 0), "names is 2, expected 0 or 1"),
        (ONE[:-8] + struct.pack("<2Q", 1, 1) + b"\xff", "is not UTF-8"),
    ],
    ids=range(15),
)
def test_damage_is_told(data, problem):
    with pytest.raises(MXNetError, match=problem):
        load_bytes(data)


@pytest.mark.parametrize("name", [*WRITTEN, "v0", "v1", "np_shape"])
def test_every_truncation_is_refused(name):
    data = read(name)
    for n in range(len(data)):
        with pytest.raises(MXNetError, match=f"byte [0-9]+ of {n}: .*(remain|hold)"):
            load_bytes(data[:n])


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([*WRITTEN, "v0", "v1", "np_shape"]).map(read),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_any_flipped_bytes_read_as_arrays_or_fail_with_reason(data, flips):
    damaged = bytearray(data)
    for at, value in flips:
        damaged[at % len(data)] = value
    try:
        tensors, _ = load_bytes(damaged)
    except MXNetError as error:
        assert "Invalid NDArray file format" in str(error)
    else:
        held = sum(a.nbytes for t in tensors if t.values is not None for a in (t.values, *t.aux))
        assert held <= len(data)


def test_atomic_write(tmp_path):
    file = tmp_path / "a.params"
    write_atomic(file, b"old")
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    file.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(file)
    write_atomic(link, b"new")
    assert file.read_bytes() == b"new" and link.is_symlink() and stat.S_IMODE(file.stat().st_mode) == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.params", "link", "plain"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "a.params"
    file.write_bytes(b"old")

    def full_disk(_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_atomic(file, b"new")
    assert file.read_bytes() == b"old" and list(tmp_path.iterdir()) == [file]
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "nowhere" / "a", b"")
