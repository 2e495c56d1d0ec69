"""The output layer of a support vector machine, whose gradient is that of the hinge loss."""

from ._build import F, zeros_like
from ._def import Composed, op
from ._params import Param
from ._shapes import FLOATS, same


@op("SVMOutput")
class SVMOutput(Composed):
    """y = x; the gradient that flows into x is that of the hinge loss, one class against the others, squared unless
    use_linear.

    data (N, C), label (N,) -> output (N, C).   Tang 2013.
    """

    inputs, dtype, is_loss = ("data", "label"), same(FLOATS), True
    margin: float = Param(1.0)
    regularization_coefficient: float = Param(1.0)
    use_linear: bool = Param(False)

    def shape(p, ins, outs):
        data = ins[0] if ins[0] is not None else outs[0]
        return [data, None if data is None else data[:1]], [data]

    def compose(p, x, label):
        return F.identity(x)

    def grad(p, dy, x, label, y):
        side = F.one_hot(label, depth=x.shape[1], on_value=1.0, off_value=-1.0, dtype=x.dtype)
        short = p.margin - side * x
        slope = F.greater(short, 0) if p.use_linear else F.maximum(short, 0) * 2
        return -side * slope * p.regularization_coefficient, zeros_like(label)
