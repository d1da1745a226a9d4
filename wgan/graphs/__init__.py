"""The GPU path of training: data on the device, and an iteration of Algorithm 1 as one CUDA graph."""

from __future__ import annotations

from wgan.graphs.graph import WARM_UP, fastest
from wgan.graphs.samples import resident

__all__ = ["WARM_UP", "fastest", "resident"]
