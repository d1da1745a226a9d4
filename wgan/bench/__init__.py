"""How fast a run is on this machine: against a textbook loop, and against what the machine can do."""

from __future__ import annotations

from wgan.bench.benchmark import Benchmark, bench

__all__ = ["Benchmark", "bench"]
