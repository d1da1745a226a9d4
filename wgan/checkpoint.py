"""Checkpoints: one safetensors file each. Reading one runs no code, and a damaged one is known by its checksum."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from wgan.errors import UserError

FORMAT = "wgan-checkpoint-1"


class Damaged(UserError):
    """The file is no checkpoint, is cut short, or its checksum does not match."""


def checksum(tensors: Mapping[str, Tensor], header: str) -> str:
    """sha256 over the header's text and each tensor's name, type, shape and bytes, in order of names."""
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write `path` so that it is there whole or not at all, also when the machine stops.

    Errors: UserError when the disk is full or not writable; an older file of that name is then as it was.
    """
    text = json.dumps(dict(header), sort_keys=True)
    # one tensor may not lie in the memory of another in this format
    ready = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(ready, aside, {"format": FORMAT, "header": text, "sha256": checksum(ready, text)})
        with open(aside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
        _sync_folder(path.parent)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            aside.unlink()
        raise UserError(
            f"could not save {path}: {error}; free some space or check the permission, then start the same command "
            "again: it goes on from the checkpoint before"
        ) from None


def _sync_folder(folder: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):  # not on Windows, where a folder can't be opened
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (on the CPU) and the header of a checkpoint. Errors: Damaged, or UserError when it isn't there."""
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, OSError, ValueError) as error:
        raise Damaged(f"checkpoint {path} can't be read: {error}") from None
    if metadata.get("format") != FORMAT:
        raise Damaged(f"{path} is no wgan checkpoint (format {metadata.get('format')!r}, expected {FORMAT!r})")
    if checksum(tensors, metadata.get("header", "")) != metadata.get("sha256"):
        raise Damaged(f"checkpoint {path} is damaged: its checksum does not match")
    header: dict[str, Any] = json.loads(metadata["header"])
    return tensors, header


def path_of(folder: Path, step: int) -> Path:
    """checkpoints/step-000123.safetensors for step 123."""
    return folder / f"step-{step:06d}.safetensors"


def list_all(folder: Path) -> list[tuple[int, Path]]:
    """(step, path) of the checkpoints in a folder, oldest first."""
    found = []
    for path in folder.glob("step-*.safetensors"):
        match = re.fullmatch(r"step-(\d+)\.safetensors", path.name)
        if match:
            found.append((int(match[1]), path))
    return sorted(found)


def newest(folder: Path) -> tuple[Path | None, dict[str, Tensor], dict[str, Any], list[str]]:
    """The newest checkpoint that is whole: (path, tensors, header, what was wrong with newer ones).

    The path is None when the folder holds none. Errors: Damaged when there are some and all of them are damaged.
    """
    complaints: list[str] = []
    for _, path in reversed(list_all(folder)):
        try:
            tensors, header = load(path)
        except Damaged as error:
            complaints.append(str(error))
            continue
        return path, tensors, header, complaints
    if complaints:
        raise Damaged(f"every checkpoint in {folder} is damaged; move them away to start anew ({complaints[-1]})")
    return None, {}, {}, []


def prune(folder: Path, last: int, keep: int, keep_every: int) -> None:
    """Remove all but the newest `keep` checkpoints and those at multiples of `keep_every` (0: none of these).

    `last` is the step just saved. What lies beyond it is damaged, or it would have been gone on from: it doesn't count.
    """
    for aside in folder.glob(".*.part"):
        aside.unlink(missing_ok=True)
    for step, path in [found for found in list_all(folder) if found[0] <= last][:-keep]:
        if not (keep_every and step % keep_every == 0):
            path.unlink(missing_ok=True)
