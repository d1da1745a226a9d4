"""Which device a run is on."""

from __future__ import annotations

import torch

from wgan.errors import UserError


def find_device(name: str = "auto") -> torch.device:
    """ "auto": a GPU where there is one, else the CPU; otherwise as torch names them ("cpu", "cuda", "cuda:1", "mps").

    Errors: UserError for a name that torch doesn't know and a device that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"unknown device '{name}'; use auto, cpu, cuda, cuda:1, mps") from None
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, ImportError):
        raise UserError(f"device '{name}' is not there; leave --device out or use --device cpu") from None
    if device.type == "meta":
        raise UserError("device 'meta' holds no numbers; use auto, cpu, cuda, cuda:1, mps")
    return device
