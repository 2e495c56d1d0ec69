"""Generated kernels: a map or map_reduce parameter block becomes CUDA source, and the launches that run it.

The text is one struct, Group (how elements are loaded, computed and stored, arithmetic by the functors of
include/cymx/map.h alone), and one __global__ function that hands it to a loop of kernels/fused.cuh.  Shapes stand in
the text only where they decide something: a program of contiguous inputs serves every size.  The text depends on
nothing else, for it is the key of the kernel cache.  Refuses more than 32 inputs.
Called by: recipes/map.py, recipes/reduce.py.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from .. import _ops  # type: ignore[attr-defined]
from ..base import DTYPE_NAMES, ITEM_BYTES, MXNetError
from .recipe import Device, In, Kernel, Launch, Out, Scratch, Tensor, Work, ceil_div

MAX_INPUTS = 32
THREADS = 256
STORE_PLAIN, STORE_KINDS = 0, ("plain", "sum", "prod", "max", "min")

C_TYPES = {
    "float32": "float", "float64": "double", "float16": "float16", "bfloat16": "bfloat16", "uint8": "u8",
    "int8": "i8", "int32": "i32", "int64": "i64", "bool": "bool",
}  # fmt: skip
_REGISTERS = {"float16": "float32", "bfloat16": "float32"}
_INT32 = 4

Dims = Sequence[tuple[int, int]]  # (size, stride in elements), outer ones first


@dataclass(frozen=True)
class Program:
    """A parameter block taken apart; its words are described in include/cymx/params.h.

    strides: a row an input.   constants: (dtype, bits).   code: (functor, its number, dtype, sources).   stores: the
    register of each output.   kinds: what becomes of it.   mask: bit i: axis i is reduced.
    """

    shape: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    ins: tuple[str, ...]
    outs: tuple[str, ...]
    constants: tuple[tuple[str, int], ...]
    code: tuple[tuple[str, int, str, tuple[int, ...]], ...]
    stores: tuple[int, ...]
    kinds: tuple[int, ...]
    mask: int = 0

    @property
    def tails(self) -> list[int]:
        """The outputs that are reductions."""
        return [k for k, kind in enumerate(self.kinds) if kind != STORE_PLAIN]

    def registers(self) -> list[str]:
        """Return the dtype of each register."""
        ins = [_REGISTERS.get(d, d) for d in self.ins]
        return ins + [d for d, _ in self.constants] + [dtype for _, _, dtype, _ in self.code]


def parse(words: Sequence[int], ins: Sequence[Tensor], outs: Sequence[Tensor], with_tails: bool) -> Program:
    """Return the program that a parameter block holds.  Raises MXNetError for more than 32 inputs."""
    if len(ins) > MAX_INPUTS:
        raise MXNetError(f"a fused step has {len(ins)} inputs, expected at most {MAX_INPUTS}")
    rest = iter(words)

    def take(n: int) -> tuple[int, ...]:
        return tuple(next(rest) for _ in range(n))

    ndim, n_const, n_code, n_store = take(4)
    shape = take(ndim)
    strides = tuple(take(ndim) for _ in ins)
    constants = tuple((DTYPE_NAMES[flag], bits) for flag, bits in (take(2) for _ in range(n_const)))
    code = []
    for number, flag, *sources in (take(5) for _ in range(n_code)):
        name, arity, _ = _ops.describe_functor(number)
        code.append((name, number, DTYPE_NAMES[flag], tuple(sources[:arity])))
    stores = take(n_store)
    mask = take(1)[0] if with_tails else 0
    kinds = take(n_store) if with_tails else (STORE_PLAIN,) * n_store
    dtypes = tuple(t.dtype for t in ins), tuple(t.dtype for t in outs)
    return Program(shape, strides, *dtypes, constants, tuple(code), stores, kinds, mask)


# ---- the iteration space ---------------------------------------------------------------------------------------------


def merged(dims: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return dimensions with neighbours joined where they run on, and without those of length 1."""
    result: list[tuple[int, int]] = []
    for size, stride in dims:
        if size == 1:
            continue
        if result and result[-1][1] == stride * size:
            result[-1] = (result[-1][0] * size, stride)
        else:
            result.append((size, stride))
    return result


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of a contiguous array, in elements."""
    return tuple(prod(shape[d + 1 :]) for d in range(len(shape)))


def offset_text(index: str, dims: Dims) -> str:
    """Return a C expression: the offset of element number `index` of a space with these strides.

    The outermost size is not in it.
    """
    terms, after = [], 1
    for d, (size, stride) in reversed(list(enumerate(dims))):
        if stride:
            term = index if after == 1 else f"{index} / {_unsigned(after)}"
            term += f" % {_unsigned(size)}" if d else ""
            terms.append(term + (f" * {_unsigned(stride)}" if stride != 1 else ""))
        after *= size
    return " + ".join(reversed(terms)) or "0"


def _unsigned(n: int) -> str:
    return f"{n}u" if n < 2**32 else f"{n}ull"


@dataclass(frozen=True)
class Space:
    """The iteration space with neighbouring axes of one kind joined.

    kept, reduced: dimensions with their strides in the space.   inner: the innermost one's length.
    """

    kept: tuple[tuple[int, int], ...]
    reduced: tuple[tuple[int, int], ...]
    inner: int
    inner_reduced: bool

    @classmethod
    def of(cls, shape: Sequence[int], mask: int) -> "Space":
        """Return the space of a shape whose axes in `mask` are reduced."""
        joined: list[tuple[int, bool]] = []
        for d, size in enumerate(shape):
            reduced = bool(mask >> d & 1)
            if size == 1:
                continue
            if joined and joined[-1][1] == reduced:
                joined[-1] = (joined[-1][0] * size, reduced)
            else:
                joined.append((size, reduced))
        joined = joined or [(1, True)]
        sides: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
        stride = 1
        for size, reduced in reversed(joined):
            sides[reduced].insert(0, (size, stride))
            stride *= size
        return cls(tuple(sides[False]), tuple(sides[True]), *joined[-1])


# ---- text ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Input:
    """How an input is loaded: "whole", "value" (one for all), or by `dims`: "pack", "splat", "each" element."""

    name: str
    dtype: str
    way: str
    dims: tuple[tuple[int, int], ...]


def _inputs(p: Program, vector: int) -> list[_Input]:
    result = []
    for i, (dtype, strides) in enumerate(zip(p.ins, p.strides, strict=True)):
        dims = merged(zip(p.shape, strides, strict=True))
        if all(stride == 1 for _, stride in dims) and len(dims) < 2:
            way = "whole"
        elif all(stride == 0 for _, stride in dims):
            way = "value"
        elif vector > 1 and dims[-1][0] % vector == 0 and dims[-1][1] == 0:
            way = "splat"
        elif vector > 1 and dims[-1][1] == 1 and not any(n % vector for n in (dims[-1][0], *(s for _, s in dims[:-1]))):
            way = "pack"
        else:
            way = "each"
        result.append(_Input(f"in{i}", dtype, way, tuple(dims)))
    return result


def _vector(p: Program, run: int, most: int) -> int:
    """Return how many neighbouring elements a thread takes at a time; it divides `run`, unless that is 0."""
    sizes = [ITEM_BYTES[d] for d in (*p.ins, *(p.outs[k] for k, kind in enumerate(p.kinds) if kind == STORE_PLAIN))]
    vector = min(16 // min(sizes, default=4), max(1, 32 // max(sizes, default=4)), most)
    while vector > 1 and (vector * sum(sizes) > 384 or run % vector):
        vector //= 2
    return vector


def _unroll(p: Program, vector: int, inputs: Sequence[_Input]) -> int:
    """Return how many packs a thread has in flight: up to 64 bytes and 16 elements, unless their arithmetic is long."""
    in_bytes = vector * sum(ITEM_BYTES[i.dtype] for i in inputs if i.way != "value")
    # Functors of floats alone are the long ones.
    work = sum(1 if _ops.describe_functor(number)[2] >> _INT32 & 1 else 8 for _, number, _, _ in p.code)
    return next((u for u in (4, 2) if u * in_bytes <= 64 and u * vector <= 16 and u * vector * work <= 128), 1)


def _constant(dtype: str, bits: int) -> tuple[str, str]:
    """Return a constant as C and as a comment, from the bits that a parameter block holds."""
    if dtype not in ("float32", "float64"):
        value = int(bool(bits)) if dtype == "bool" else bits
        return f"({C_TYPES[dtype]})0x{value & (2**64 - 1):x}ull", str(value)
    number = struct.unpack("=d", struct.pack("=q", bits))[0]
    if dtype == "float64":
        return f"double_of(0x{bits & (2**64 - 1):016x}ull)", repr(number)
    return f"float_of(0x{_float32_bits(number):08x}u)", repr(number)


def _float32_bits(number: float) -> int:
    try:
        return struct.unpack("=I", struct.pack("=f", number))[0]
    except OverflowError:
        return 0xFF800000 if number < 0 else 0x7F800000


_FN = "__device__ __forceinline__"


def _group(p: Program, inputs: Sequence[_Input], vector: int, unroll: int, space: Space | None) -> list[str]:
    """Return the lines of struct Group.  space: that of a reduction."""
    plain = [k for k, kind in enumerate(p.kinds) if kind == STORE_PLAIN]
    loaded = [i for i in inputs if i.way != "value"]
    lines = ["struct Group {", f"    static constexpr int vector = {vector}, unroll = {unroll};"]
    for i in inputs:
        c_type = C_TYPES[i.dtype]
        if i.way == "value":
            lines.append(f"    const {C_TYPES[_REGISTERS.get(i.dtype, i.dtype)]} {i.name}; // one value")
        else:
            shape = ("", "contiguous") if i.way == "whole" else ("__restrict__ ", "broadcast or transposed")
            lines.append(f"    const {c_type} *{shape[0]}{i.name}; // {shape[1]}")
    lines += [f"    {C_TYPES[d]} *out{k};" for k, d in enumerate(p.outs)]
    lines += ["", "    struct In {"]
    lines += [f"        Pack<{C_TYPES[i.dtype]}, vector> {i.name};" for i in loaded]
    lines += ["    };", "    struct Out {"]
    lines += [f"        Pack<{C_TYPES[p.outs[k]]}, vector> out{k};" for k in plain]
    lines += ["    };"]
    if space:
        lines += ["    struct Tails {"]
        for k in p.tails:
            register = C_TYPES[p.registers()[p.stores[k]]]
            lines.append(f"        Joined<reducer::{STORE_KINDS[p.kinds[k]]}, {register}> out{k};")
        lines += ["    };"]
        calls = " ".join(f"f(t.out{k}, out{k}, {number});" for number, k in enumerate(p.tails))
        lines += ["", f"    template <class F> {_FN} void each_tail(Tails &t, F f) const {{ {calls} }}"]
        kept = space.kept if space.inner_reduced else space.kept[:-1]
        for name, dims in (("cell", kept), ("reduced", space.reduced)):
            lines.append(f"    template <class I> static {_FN} I {name}(I i) {{ return {offset_text('i', dims)}; }}")
    addresses = [i.name for i in loaded if i.way in ("whole", "pack")] + [f"out{k}" for k in plain]
    test = " && ".join(f"is_aligned<vector>({a})" for a in addresses) or "true"
    lines += ["", f"    {_FN} bool aligned() const {{ return {test}; }}"]
    lines += [f"    template <class I> {_FN} void load(I i, In &x) const {{"]
    for i in loaded:
        at = "i" if i.way == "whole" else offset_text("i", i.dims)
        if i.way == "splat":
            lines.append(f"        splat({i.name}[{at}], x.{i.name});")
        elif i.way == "each":
            for k in range(vector):
                lines.append(f"        x.{i.name}.v[{k}] = {i.name}[{offset_text(f'(i + {k}u)', i.dims)}];")
        else:
            lines.append(f"        load_pack({i.name} + {at}, x.{i.name});")
    lines += ["    }", f"    template <class I> {_FN} void load_one(I i, int k, In &x) const {{"]
    lines += [
        f"        x.{i.name}.v[k] = {i.name}[{'i' if i.way == 'whole' else offset_text('i', i.dims)}];" for i in loaded
    ]
    lines += ["    }", f"    {_FN} void compute(const In &x, int k, Out &y{', Tails &t' if space else ''}) const {{"]
    lines += [f"        {line}" for line in _arithmetic(p, inputs)]
    lines += ["    }", f"    template <class I> {_FN} void store(I i, const Out &y) const {{"]
    lines += [f"        store_pack(out{k} + i, y.out{k});" for k in plain]
    lines += ["    }", f"    template <class I> {_FN} void store_one(I i, int k, const Out &y) const {{"]
    lines += [f"        out{k}[i] = y.out{k}.v[k];" for k in plain]
    return [*lines, "    }", "};"]


def _arithmetic(p: Program, inputs: Sequence[_Input]) -> list[str]:
    """Return the lines that compute every register of one element and hand on those that are stored."""
    types = [C_TYPES[d] for d in p.registers()]
    lines = []
    for r, i in enumerate(inputs):
        value = i.name if i.way == "value" else f"to_register(x.{i.name}.v[k])"
        lines.append(f"const {types[r]} r{r} = {value};")
    for r, (dtype, bits) in enumerate(p.constants, len(p.ins)):
        text, comment = _constant(dtype, bits)
        lines.append(f"const {types[r]} r{r} = {text}; // {comment}")
    for r, (functor, _, _, sources) in enumerate(p.code, len(p.ins) + len(p.constants)):
        call = f"cast<{types[r]}>" if functor == "cast" else f"fn::{functor}::f<{types[r]}>"
        lines.append(f"const {types[r]} r{r} = {call}({', '.join(f'r{s}' for s in sources)});")
    for k, (register, kind) in enumerate(zip(p.stores, p.kinds, strict=True)):
        if kind == STORE_PLAIN:
            lines.append(f"y.out{k}.v[k] = convert<{C_TYPES[p.outs[k]]}>(r{register});")
        else:
            lines.append(f"t.out{k}.add(r{register});")
    return lines


def _source(p: Program, inputs: Sequence[_Input], group: Sequence[str], template: str, extra: str, body: str) -> str:
    """Return the translation unit: Group and the kernel `fused`, which makes one and calls a loop.

    template, extra: the kernel's template and further parameters.   body: the call; g is the Group.
    """
    pointers = [f"const {C_TYPES[i.dtype]} *{i.name}" for i in inputs]
    pointers += [f"{C_TYPES[d]} *out{k}" for k, d in enumerate(p.outs)]
    members = [f"to_register(*{i.name})" if i.way == "value" else i.name for i in inputs]
    members += [f"out{k}" for k in range(len(p.outs))]
    return "\n".join(
        [
            '#include "fused.cuh"',
            "",
            "namespace cymx {",
            "",
            *group,
            "",
            f"template <{template}>",
            f"__global__ void CYMX_BOUNDS({THREADS}) fused({', '.join([*pointers, extra])}) {{",
            f"    const Group g = {{{', '.join(members)}}};",
            f"    {body}",
            "}",
            "",
            "} // namespace cymx",
            "",
        ]
    )


# ---- launches --------------------------------------------------------------------------------------------------------


def _index_type(p: Program) -> str:
    """Return the type of indices: 32 bits where every one of the space and of the inputs fits."""
    reach = [sum((n - 1) * s for n, s in zip(p.shape, strides)) for strides in p.strides]
    return "cymx::u32" if max(prod(p.shape), *reach, 0) < 2**31 else "cymx::u64"


def _addresses(p: Program) -> list[In | Out]:
    return [*(In(i) for i in range(len(p.ins))), *(Out(k) for k in range(len(p.outs)))]


def map_work(p: Program, device: Device) -> Work:
    """Return the launch of a program whose stores are all plain."""
    n = prod(p.shape)
    if n == 0:
        return Work()
    vector = _vector(p, 0, 16)
    inputs = _inputs(p, vector)
    unroll = _unroll(p, vector, inputs)
    group = _group(p, inputs, vector, unroll, None)
    text = _source(p, inputs, group, "class I", "i64 n", "map_elements<I>(g, (I)n);")
    kernel = Kernel(text, f"cymx::fused<{_index_type(p)}>")
    blocks = min(ceil_div(n, THREADS * vector * unroll), 128 * device.n_sm)
    return Work((Launch(kernel, (blocks, 1, 1), (THREADS, 1, 1), (*_addresses(p), n)),))


def map_reduce_work(p: Program, device: Device) -> Work:
    """Return the launches of a program that has reduced stores.

    Raises MXNetError for a maximum or minimum of nothing.
    """
    space = Space.of(p.shape, p.mask)
    n_cells, n_reduced = (prod(n for n, _ in dims) for dims in (space.kept, space.reduced))
    if n_cells * n_reduced == 0:
        return _empty(p, n_cells, device)
    vector = _vector(p, space.inner, 16 if space.inner_reduced else max(1, 8 // len(p.tails)))
    inputs = _inputs(p, vector)
    unroll = _unroll(p, vector, inputs)
    group = _group(p, inputs, vector, unroll, space)
    wanted = 32 * device.n_sm  # fills the device several times over: then no last round of blocks is long
    if space.inner_reduced:
        packs = n_reduced // vector
        alone = packs >= 1024 or (packs >= 256 and n_cells < 8 * device.n_sm)
        threads = THREADS if alone else min(32, _power(ceil_div(packs, 2)))
        blocks, share = min(ceil_div(n_cells * threads, THREADS), 4 * wanted), threads * unroll * 2
        pieces = ceil_div(wanted, blocks) if threads == THREADS else 1
        pieces = max(1, min(pieces, packs // share))
        loop, sizes = "reduce_runs", {"n_cells": n_cells, "n_reduced": n_reduced}
    else:
        threads = min(32, _power(ceil_div(space.inner, vector)))
        n_outer = n_cells // space.inner
        blocks = n_outer * ceil_div(space.inner, threads * vector)
        pieces = max(1, min(ceil_div(wanted, blocks), n_reduced // (THREADS // threads * unroll * 2), 65535))
        loop, sizes = "reduce_columns", {"n_columns": space.inner, "n_outer": n_outer, "n_rows": n_reduced}
    body = f"{loop}<I, threads>(g, {', '.join(f'(I){name}' for name in sizes)}, partial);"
    counts = ", ".join(f"i64 {name}" for name in sizes)
    text = _source(p, inputs, group, "class I, int threads", f"u64 *partial, {counts}", body)
    kernel = Kernel(text, f"cymx::fused<{_index_type(p)}, {threads}>")
    partial = Scratch() if pieces > 1 else 0
    launches = [Launch(kernel, (blocks, pieces, 1), (THREADS, 1, 1), (*_addresses(p), partial, *sizes.values()))]
    if pieces == 1:
        return Work(tuple(launches))
    across = 32 if n_cells >= 32 else 1
    for number, k in enumerate(p.tails):
        types = f"cymx::reducer::{STORE_KINDS[p.kinds[k]]}, {c_name(p.registers()[p.stores[k]])}, {c_name(p.outs[k])}"
        join = Kernel('#include "fused.cuh"\n', f"cymx::join_pieces<{types}, {across}>")
        args = (Scratch(8 * number * pieces * n_cells), Out(k), n_cells, pieces)
        launches.append(Launch(join, (ceil_div(n_cells, across), 1, 1), (THREADS, 1, 1), args))
    return Work(tuple(launches), 8 * len(p.tails) * pieces * n_cells)


def _empty(p: Program, n_cells: int, device: Device) -> Work:
    """Return what reductions of nothing are: 0 for a sum, 1 for a product."""
    launches: list[Launch] = []
    for k in p.tails if n_cells else []:
        kind = STORE_KINDS[p.kinds[k]]
        if kind in ("max", "min"):
            raise MXNetError("the maximum or minimum of no elements does not exist: a reduced axis has length 0")
        launches += fill_work(k, p.outs[k], n_cells, int(kind == "prod"), device).launches
    return Work(tuple(launches))


def fill_work(output: int, dtype: str, n: int, value: int, device: Device) -> Work:
    """Return the launch that sets the n elements of an output to one value."""
    register = _REGISTERS.get(dtype, dtype)
    bits = struct.unpack("=q", struct.pack("=d", value))[0] if register.startswith("float") else value
    filled = Program((n,), (), (), (dtype,), ((register, bits),), (), (0,), (STORE_PLAIN,))
    (launch,) = map_work(filled, device).launches
    args = tuple(Out(output) if isinstance(a, Out) else a for a in launch.args)
    return Work((Launch(launch.kernel, launch.grid, launch.block, args),))


def c_name(dtype: str) -> str:
    """Return the C type as it is named outside of namespace cymx."""
    return C_TYPES[dtype] if dtype in ("float32", "float64", "bool") else f"cymx::{C_TYPES[dtype]}"


def _power(n: int) -> int:
    """Return the least power of two that is not below n."""
    return 1 << max(0, n - 1).bit_length()
