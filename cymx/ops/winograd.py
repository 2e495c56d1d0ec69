"""Convolution by Winograd's minimal filtering: what compiler/prepare.py puts in place of _conv_fwd and _conv_bwd_data.

Sums are those of the definition up to rounding, about twice as much of it.  A NaN or an infinity in an image makes NaN
of all outputs of the tiles that read it, where the definition makes it of the nearest nine.
"""

from ._def import Kernel, Launch, always, op
from ._params import Param, Shape
from ._shapes import n_elements, same

PANEL = 32  # of the kernel: outputs side by side in a weight


def n_tiles(tile, image):
    """Return how many tiles of tile x tile outputs cover images of a shape (N, P, Q, O)."""
    return image[0] * -(-image[1] // tile) * -(-image[2] // tile)


@op("_winograd_fwd")
class WinogradForward(Kernel):
    """out = x * w (cross-correlation of 3x3, stride 1), plus a bias for each channel, plus a residual, relu.

    x (N, H, W, C), u: what _winograd_weights made of w, bias (O,), residual (N, P, Q, O) -> output `size` (N, P, Q, O).
    """

    inputs, dtype, grad, per_example = ("data", "weight", "bias", "residual"), same(("float32",)), None, always
    tile: int = Param(ge=2)
    pad: Shape = Param()
    no_bias: bool = Param(False)
    has_residual: bool = Param(False)
    relu: bool = Param(False)
    size: Shape = Param()

    def live(p):
        return ("data", "weight", *(() if p.no_bias else ("bias",)), *(("residual",) if p.has_residual else ()))

    def shape(p, ins, outs):
        return ins, [p.size]

    def flops(p, ins, outs):
        return 2 * (p.tile + 2) ** 2 * n_tiles(p.tile, outs[0]) * ins[0][3] * outs[0][3]

    def launch(p, ins, outs):
        return Launch("winograd_fwd", (p.tile, *p.pad, int(p.has_residual), int(p.relu), 0))


@op("_winograd_weights")
class WinogradWeights(Kernel):
    """A weight as Winograd's convolution reads it.

    w (O, C, 3, 3) -> output ((tile + 2)**2, ceil(O / 32), C, 32).   turned: for the gradient of a convolution with w by
    its input, where O and C change places.
    """

    inputs, dtype, grad = ("weight",), same(("float32",)), None
    tile: int = Param(ge=2)
    turned: bool = Param(False)

    def shape(p, ins, outs):
        o, c = ins[0][1::-1] if p.turned else ins[0][:2]
        return ins, [((p.tile + 2) ** 2, -(-o // PANEL), c, PANEL)]

    def flops(p, ins, outs):
        return 4 * n_elements(outs[0])

    def launch(p, ins, outs):
        return Launch("winograd_weights", (p.tile, 0, 0, 0, 0, int(p.turned)))
