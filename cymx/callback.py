"""Callbacks of training: speed and metrics as log lines, a live progress line, checkpoints.

Batch-end callbacks take a BatchEndParam (epoch, nbatch, eval_metric, locals); epoch-end callbacks take (epoch,
symbol, arg_params, aux_params).  Called by Module.fit and score.
"""

import logging
import math
import sys
import time

from .model import save_checkpoint

__all__ = ["LiveProgressBar", "LogValidationMetricsCallback", "ProgressBar", "Speedometer", "do_checkpoint",
           "log_train_metric", "module_checkpoint"]  # fmt: skip


def module_checkpoint(mod, prefix, period=1, save_optimizer_states=False):
    """Return an epoch-end callback that saves the module every `period` epochs, to prefix-symbol.json and prefix-
    NNNN.params.
    """
    period = max(1, int(period))

    def callback(iter_no, sym=None, arg=None, aux=None):
        if (iter_no + 1) % period == 0:
            mod.save_checkpoint(prefix, iter_no + 1, save_optimizer_states)

    return callback


def do_checkpoint(prefix, period=1):
    """Return an epoch-end callback that saves symbol and parameters every `period` epochs."""
    period = max(1, int(period))

    def callback(iter_no, sym, arg, aux):
        if (iter_no + 1) % period == 0:
            save_checkpoint(prefix, iter_no + 1, sym, arg, aux)

    return callback


def log_train_metric(period, auto_reset=False):
    """Return a batch-end callback that logs the metric every `period` batches; `auto_reset` starts it again."""

    def callback(param):
        if param.nbatch % period == 0 and param.eval_metric is not None:
            for name, value in param.eval_metric.get_name_value():
                logging.info("Iter[%d] Batch[%d] Train-%s=%f", param.epoch, param.nbatch, name, value)
            if auto_reset:
                param.eval_metric.reset_local()

    return callback


class Speedometer:
    """Log samples a second and the metric every `frequent` batches; with `auto_reset` the metric of those batches
    alone.
    """

    def __init__(self, batch_size, frequent=50, auto_reset=True):
        self.batch_size = batch_size
        self.frequent = frequent
        self.auto_reset = auto_reset
        self.init = False
        self.tic = 0.0
        self.last_count = 0

    def __call__(self, param):
        """Count a batch, and log where it is due."""
        count = param.nbatch
        if self.last_count > count:
            self.init = False
        self.last_count = count
        if not self.init:
            self.init = True
            self.tic = time.time()
            return
        if count % self.frequent != 0:
            return
        elapsed = time.time() - self.tic
        speed = self.frequent * self.batch_size / elapsed if elapsed > 0 else math.inf
        if param.eval_metric is None:
            logging.info("Iter[%d] Batch [%d]\tSpeed: %.2f samples/sec", param.epoch, count, speed)
        else:
            pairs = param.eval_metric.get_name_value()
            first = 0
            if self.auto_reset:
                param.eval_metric.reset_local()
                first = count - self.frequent
            text = "Epoch[%d] Batch [%d-%d]\tSpeed: %.2f samples/sec" + "\t%s=%f" * len(pairs)
            logging.info(text, param.epoch, first, count, speed, *(x for pair in pairs for x in pair))
        self.tic = time.time()


class ProgressBar:
    """Log a bar of `length` characters that is full after `total` batches."""

    def __init__(self, total, length=80):
        self.bar_len = length
        self.total = total

    def __call__(self, param):
        """Log the bar."""
        filled = round(self.bar_len * param.nbatch / self.total)
        percents = math.ceil(100.0 * param.nbatch / self.total)
        logging.info("[%s] %s%s\r", "=" * filled + "-" * (self.bar_len - filled), percents, "%")


class LiveProgressBar:
    """Show epoch, batch, samples a second and the epoch's metric while training runs.

    In a terminal one line an epoch is redrawn in place; elsewhere plain lines are written, every `interval` seconds
    and at the epoch's end.

    Parameters
    ----------
    batch_size : samples a batch.
    total : batches an epoch; without it the end is known only when the next epoch starts or `close` is called.
    interval : seconds between two drawings; 0.1 in a terminal and 5 elsewhere, unless given.
    label : word before the epoch's number.
    file : where to write, sys.stderr unless given.
    """

    def __init__(self, batch_size, total=None, interval=None, label="Epoch", file=None):
        self.batch_size = batch_size
        self.total = total
        self.label = label
        self.file = sys.stderr if file is None else file
        self.live = self.file.isatty()
        self.interval = (0.1 if self.live else 5.0) if interval is None else interval
        self._epoch = None
        self._bar = None

    def __call__(self, param):
        """Count a batch, and draw where it is due."""
        done = param.nbatch + 1
        now = time.perf_counter()
        if param.epoch != self._epoch or done <= self._done:
            self.close()
            self._begin(param.epoch, now)
        self._done = done
        self._metric = param.eval_metric
        if done == self.total:
            self.close()
        elif now - self._drawn >= self.interval:
            self._draw(now)

    def close(self):
        """Draw the present epoch's last state and end its line."""
        if self._epoch is None:
            return
        self._draw(time.perf_counter())
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self._epoch = None

    def _begin(self, epoch, now):
        self._epoch, self._done, self._metric = epoch, 0, None
        self._begun = self._drawn = now
        if self.live:
            from tqdm import tqdm  # only terminals need it, and it takes longer to import than a step

            layout = "{desc}: {percentage:3.0f}%|{bar}| " if self.total else "{desc}: "
            layout += "batch {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
            self._bar = tqdm(total=self.total, desc=f"{self.label} {epoch}", file=self.file, bar_format=layout)

    def _draw(self, now):
        self._drawn = now
        parts = []
        if self._done > 1 and now > self._begun:
            # The clock starts when the first batch has ended, so that batch is not counted.
            parts.append(f"{(self._done - 1) * self.batch_size / (now - self._begun):.0f} samples/s")
        if self._metric is not None:
            parts += [f"{name}={value:.4f}" for name, value in self._metric.get_global_name_value()]
        state = ", ".join(parts)
        if self._bar is not None:
            self._bar.set_postfix_str(state, refresh=False)
            self._bar.update(self._done - self._bar.n)
            self._bar.refresh()
            return
        batches = f"{self._done}/{self.total}" if self.total else self._done
        print(f"{self.label} {self._epoch}: batch {batches}, {state}", file=self.file, flush=True)


class LogValidationMetricsCallback:
    """Log the metric at the end of an evaluation."""

    def __call__(self, param):
        """Log each name and value."""
        if param.eval_metric is not None:
            for name, value in param.eval_metric.get_name_value():
                logging.info("Epoch[%d] Validation-%s=%f", param.epoch, name, value)
