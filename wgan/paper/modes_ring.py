"""No mode collapse: 8 Gaussians on a ring.

Claim: A critic that is trained to optimality makes it impossible to collapse modes; in no experiment did the authors
see a WGAN do so.
Source: WGAN, Sections 3 and 4.3; the 8 Gaussians are those of WGAN-GP, Figure 1a.
Expected: WGAN and WGAN-GP cover the 8 modes evenly; a GAN, with as many steps of D or with one, does less well.
Here: Both networks 3 x 64 units, batches of 128, 500 generator steps (1,000 for the GAN with one step of D), step sizes
that fall to zero, penalty 0.1 as in the toy code. With --full 3 x 512, batches of 256, 100,000 steps, no decay.
Thresholds: Fixed on seeds 100-102, before seeds 0-2 were run; settings are those of modes-grid.
Caveat: The GANs spread their samples along rays and unevenly rather than leave modes empty: what is counted are samples
near a mode. With other step sizes they may do better; these are the ones of modes-grid.
Cost: 2 minutes of CPU time for three seeds.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from wgan.reproduction import Check, Job, Results, Scale, points

DATA, STEPS = "8gaussians", 500


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    return points.jobs(DATA, STEPS, seed, scale)


def draw(results: Results) -> Figure:
    return points.compared(results, DATA)


def passes(results: Results) -> list[Check]:
    covered, kl, near, sliced = (points.ends(results, key) for key in ("covered", "reverse_kl", "near", "sliced"))
    uneven = [a / b for a, b in zip(kl["gan5"], kl["gp"], strict=True)]

    return [
        points.against("modes covered, of 8, WGAN-GP", covered, "gp", "gan5", at_least=8, every=True),
        points.against("modes covered, of 8, clipping", covered, "clip", "gan", at_least=7),
        points.against("reverse KL, WGAN-GP (nats)", kl, "gp", "gan5", at_most=0.02, every=True),
        points.against("reverse KL, clipping (nats)", kl, "clip", "gan", at_most=0.05),
        Check(what="reverse KL of the GAN with 5 steps of D over WGAN-GP's", ours=uneven, at_least=3),
        points.against("share of samples near a mode, WGAN-GP", near, "gp", "gan5", at_least=0.6),
        points.against("sliced W1, WGAN-GP", sliced, "gp", "gan5"),
    ]
