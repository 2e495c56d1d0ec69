"""Learning rates as functions of the number of updates.

Each scheduler starts from `base_lr`, which an optimizer may set, after an optional warm-up.  Factor schedulers
remember how far they came, so their updates must not decrease.  Called by optimizers.
"""

import logging
import math

from .base import ArgumentError, ArgumentTypeError

__all__ = ["CosineScheduler", "FactorScheduler", "LRScheduler", "MultiFactorScheduler", "PolyScheduler"]


class LRScheduler:
    """Hold `base_lr` and the warm-up: `warmup_steps` updates from `warmup_begin_lr` to `base_lr` (linear), or at the
    former (constant).
    """

    def __init__(self, base_lr=0.01, warmup_steps=0, warmup_begin_lr=0, warmup_mode="linear"):
        name = type(self).__name__
        if not isinstance(warmup_steps, int):
            raise ArgumentTypeError(f"{name}: warmup_steps={warmup_steps!r} is not an int")
        if warmup_steps < 0:
            raise ArgumentError(f"{name}: warmup_steps={warmup_steps} is negative")
        if warmup_begin_lr > base_lr:
            raise ArgumentError(f"{name}: warmup_begin_lr={warmup_begin_lr} is above base_lr={base_lr}")
        if warmup_mode not in ("linear", "constant"):
            raise ArgumentError(f"{name}: warmup_mode={warmup_mode!r} is neither 'linear' nor 'constant'")
        self.base_lr = base_lr
        self.warmup_steps = warmup_steps
        self.warmup_final_lr = base_lr
        self.warmup_begin_lr = warmup_begin_lr
        self.warmup_mode = warmup_mode

    def get_warmup_lr(self, num_update):
        """Return the rate at update `num_update`, which is within the warm-up."""
        if self.warmup_mode == "constant":
            return self.warmup_begin_lr
        return self.warmup_begin_lr + (self.warmup_final_lr - self.warmup_begin_lr) * num_update / self.warmup_steps

    def __call__(self, num_update):
        """Return the rate after `num_update` updates."""
        raise NotImplementedError(f"{type(self).__name__} defines no __call__")


def _check_factor(scheduler, factor):
    if factor > 1.0:
        raise ArgumentError(f"{type(scheduler).__name__}: factor={factor} is above 1, the rate would grow")


class FactorScheduler(LRScheduler):
    """Multiply the rate by `factor` after each `step` updates, down to `stop_factor_lr`."""

    def __init__(
        self,
        step,
        factor=1,
        stop_factor_lr=1e-8,
        base_lr=0.01,
        warmup_steps=0,
        warmup_begin_lr=0,
        warmup_mode="linear",
    ):
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if step < 1:
            raise ArgumentError(f"FactorScheduler: step={step} is below 1")
        _check_factor(self, factor)
        self.step = step
        self.factor = factor
        self.stop_factor_lr = stop_factor_lr
        self.count = 0

    def __call__(self, num_update):
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        while num_update > self.count + self.step:
            self.count += self.step
            self.base_lr *= self.factor
            if self.base_lr < self.stop_factor_lr:
                self.base_lr = self.stop_factor_lr
                logging.info(
                    "Update[%d]: now learning rate arrived at %0.5e, will not change in the future",
                    num_update,
                    self.base_lr,
                )
            else:
                logging.info("Update[%d]: Change learning rate to %0.5e", num_update, self.base_lr)
        return self.base_lr


class MultiFactorScheduler(LRScheduler):
    """Multiply the rate by `factor` once more than `step[i]` updates are done, for each i; `step` is an increasing
    list.
    """

    def __init__(self, step, factor=1, base_lr=0.01, warmup_steps=0, warmup_begin_lr=0, warmup_mode="linear"):
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if not isinstance(step, list) or not step:
            raise ArgumentTypeError(f"MultiFactorScheduler: step={step!r} is not a list of updates")
        if step[0] < 1 or any(b <= a for a, b in zip(step, step[1:], strict=False)):
            raise ArgumentError(f"MultiFactorScheduler: step={step} does not increase from 1 or more")
        _check_factor(self, factor)
        self.step = step
        self.cur_step_ind = 0
        self.factor = factor
        self.count = 0

    def __call__(self, num_update):
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        while self.cur_step_ind < len(self.step) and num_update > self.step[self.cur_step_ind]:
            self.count = self.step[self.cur_step_ind]
            self.cur_step_ind += 1
            self.base_lr *= self.factor
            logging.info("Update[%d]: Change learning rate to %0.5e", num_update, self.base_lr)
        return self.base_lr


class _Decay(LRScheduler):
    """Go from `base_lr` to `final_lr` at `max_update` along a curve from 1 to 0, and stay there."""

    def __init__(self, max_update, base_lr, final_lr, warmup_steps, warmup_begin_lr, warmup_mode):
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if not isinstance(max_update, int):
            raise ArgumentTypeError(f"{type(self).__name__}: max_update={max_update!r} is not an int")
        if max_update < 1:
            raise ArgumentError(f"{type(self).__name__}: max_update={max_update} is below 1")
        self.base_lr_orig = base_lr
        self.max_update = max_update
        self.final_lr = final_lr
        self.max_steps = max_update - warmup_steps

    def _curve(self, done):
        raise NotImplementedError

    def __call__(self, num_update):
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        if num_update <= self.max_update:
            left = self._curve((num_update - self.warmup_steps) / self.max_steps)
            self.base_lr = self.final_lr + (self.base_lr_orig - self.final_lr) * left
        return self.base_lr


class PolyScheduler(_Decay):
    """Decay as (1 - done) ** pwr, where done goes from 0 to 1 at `max_update`."""

    def __init__(
        self, max_update, base_lr=0.01, pwr=2, final_lr=0, warmup_steps=0, warmup_begin_lr=0, warmup_mode="linear"
    ):
        super().__init__(max_update, base_lr, final_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        self.power = pwr

    def _curve(self, done):
        return (1 - done) ** self.power


class CosineScheduler(_Decay):
    """Decay as half a cosine, (1 + cos(pi * done)) / 2, where done goes from 0 to 1 at `max_update`."""

    def __init__(self, max_update, base_lr=0.01, final_lr=0, warmup_steps=0, warmup_begin_lr=0, warmup_mode="linear"):
        super().__init__(max_update, base_lr, final_lr, warmup_steps, warmup_begin_lr, warmup_mode)

    def _curve(self, done):
        return (1 + math.cos(math.pi * done)) / 2
