"""Runs the files of `wgan.paper`: which there are, what they claim, and whether it holds here."""

from __future__ import annotations

from wgan.reproduction.catalogue import Figure, catalogue, find
from wgan.reproduction.check import Check
from wgan.reproduction.results import Job, Results, Scale

__all__ = ["Check", "Figure", "Job", "Results", "Scale", "catalogue", "find"]
