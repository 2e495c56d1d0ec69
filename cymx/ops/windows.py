"""Convolution by one matrix product: the windows of images as rows, which meet a weight as it lies, (O, C * taps).

What compiler/prepare.py puts in place of convolutions of few positions and many channels.
"""

from ._def import Launch, op
from ._params import Param, Shape
from .conv import ConvSettings


class WindowSettings(ConvSettings):
    """The base of both: images have their channels last.

    kernel: the weight's extents.   size: the output's shape.
    """

    inputs, grad = ("data",), None
    kernel: Shape = Param()
    size: Shape = Param()

    def shape(p, ins, outs):
        return ins, [p.size]


@op("_conv_windows")
class ConvWindows(WindowSettings):
    """What each position of a convolution reads.   x (N, *S, C) -> output `size` (N, *P, C * taps)."""

    def launch(p, ins, outs):
        return Launch("conv_windows", ConvSettings.block(p, p.kernel))


@op("_conv_windows_sum")
class ConvWindowsSum(WindowSettings):
    """Each pixel the sum of what windows hold of it.   windows (N, *P, C * taps) -> output `size` (N, *S, C)."""

    def launch(p, ins, outs):
        return Launch("conv_windows_sum", ConvSettings.block(p, p.kernel))
