"""Monitor: statistics of outputs, weights and gradients while executors run, for finding where numbers go wrong."""

import logging
import math
import re

from . import ndarray as nd
from .base import ArgumentTypeError
from .ndarray import NDArray

__all__ = ["Monitor"]


def _rms(array):
    return nd.sqrt(nd.sum(array * array)) / math.sqrt(array.size)


class Monitor:
    """Collect `stat_func(array)` of every array whose name matches `pattern`, every `interval` batches.

    Parameters
    ----------
    interval : batches from one collection to the next.
    stat_func : array -> array, or a list of them; the root mean square unless given.
    pattern : regular expression, matched from the start of the name.
    sort : sort the collected by name.
    monitor_all : look at inputs of operators as well as outputs.
    """

    def __init__(self, interval, stat_func=None, pattern=".*", sort=False, monitor_all=False):
        self.stat_func = stat_func or _rms
        self.interval = interval
        self.activated = False
        self.queue = []
        self.step = 0
        self.exes = []
        self.re_pattern = re.compile(pattern)
        self.sort = sort
        self.monitor_all = monitor_all

    def stat_helper(self, name, array):
        """Collect one array, while collecting; the executors call it."""
        if self.activated and self.re_pattern.match(name):
            self.queue.append((self.step, name, self.stat_func(array)))

    def install(self, exe):
        """Watch an executor."""
        exe.set_monitor_callback(self.stat_helper, self.monitor_all)
        self.exes.append(exe)

    def tic(self):
        """Start collecting, where this batch's turn has come.  Call before forward."""
        if self.step % self.interval == 0:
            self.queue = []
            self.activated = True
        self.step += 1

    def toc(self):
        """Stop collecting, and return [(batch, name, text of the statistic)].  Call after backward."""
        if not self.activated:
            return []
        for exe in self.exes:
            for name, array in (*exe.arg_dict.items(), *exe.aux_dict.items()):
                self.stat_helper(name, array)
        self.activated = False
        collected = sorted(self.queue, key=lambda entry: entry[1]) if self.sort else self.queue
        self.queue = []
        return [(step, name, self._text(name, stats)) for step, name, stats in collected]

    @staticmethod
    def _text(name, stats):
        text = ""
        for stat in stats if isinstance(stats, list) else [stats]:
            if not isinstance(stat, NDArray):
                raise ArgumentTypeError(f"Monitor: stat_func made {type(stat).__name__} of {name}, expected NDArray")
            text += f"{stat.asscalar() if stat.shape == (1,) else stat.asnumpy()}\t"
        return text

    def toc_print(self):
        """Stop collecting, and log what was collected."""
        for step, name, text in self.toc():
            logging.info("Batch: %7d %30s %s", step, name, text)
