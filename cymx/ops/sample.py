"""Draws of categories by their probabilities."""

from ._build import F, cast, reshape
from ._build import broadcast_to as spread
from ._def import Composed, op
from ._params import Param, Shape
from ._shapes import FLOATS, n_elements, same


@op("_sample_multinomial", "sample_multinomial")
class SampleMultinomial(Composed):
    """Categories drawn with the probabilities of each row.

    data (n..., K) -> output (n..., *shape) of `dtype`, (1,) where that is nothing [, the logarithm of each draw's
    probability (the same), where get_prob: its gradient flows into data].
    """

    is_random = True
    shape_: Shape = Param(())
    get_prob: bool = Param(False)
    dtype_: str = Param("int32", choices=("float16", "float32", "float64", "int32", "uint8"))

    def visible(p):
        return ("output0", "output1") if p.get_prob else ("output",)

    def shape(p, ins, outs):
        if ins[0] is None:
            return ins, outs
        return ins, [(*ins[0][:-1], *p.shape) or (1,)] * len(outs)

    def dtype(p, ins, outs):
        same(FLOATS)(p, ins, [])
        return ins, [p.dtype, ins[0]][: len(outs)]

    def compose(p, x):
        k, n = x.shape[-1], n_elements(p.shape)
        n_rows = n_elements(x.shape[:-1])
        rows = reshape(x, (n_rows, k))
        # A category is drawn where the running sum first passes a number below the total.
        below = F.cumsum(cast(F.BlockGrad(rows), "float64"), axis=1)
        total = F.slice_axis(below, axis=1, begin=k - 1, end=k)
        drawn = F.random_uniform(shape=(n_rows, n), dtype="float64") * total
        passed = F.lesser_equal(reshape(below, (n_rows, 1, k)), reshape(drawn, (n_rows, n, 1)))
        at = F.minimum(F.sum(passed, axis=2), k - 1)
        made = (*x.shape[:-1], *p.shape) or (1,)
        output = cast(reshape(at, made), p.dtype)
        if not p.get_prob:
            return output
        chosen = F.pick(spread(reshape(rows, (n_rows, 1, k)), (n_rows, n, k)), at, axis=2)
        return output, reshape(F.log(chosen), made)
