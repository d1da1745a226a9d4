"""All three in one run: `wgan train examples/my_run.py`, and flags change its numbers: --steps 500 --seed 1."""

from my_data import data
from my_networks import two_layers
from my_objective import objective

import wgan

run = wgan.preset("wgan-gp", data=data, networks=two_layers, objective=objective, steps=200)
