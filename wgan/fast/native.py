"""The C sources beside it, compiled on this machine once.

A C compiler (`cc`, or CC) makes them in about two seconds when they are first needed, and the cache keeps them. Without
one, or with WGAN_NATIVE=0, `library` is None and convolutions are torch's own.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import torch

SOURCES = [Path(__file__).with_name(name) for name in ("maps.c", "rows.c", "norms.c")]
HEADERS = [Path(__file__).with_name(name) for name in ("numbers.h", "blocks.h")]
FLAGS = ["-O3", "-march=native", "-fopenmp", "-fPIC"]
# seconds that a compiler may take
PATIENCE = 60
# what each map takes: pointers, then sizes
POINTER, SIZE, FLAG, NUMBER = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_float
SIGNATURES: dict[str, list[type]] = {
    "split": [POINTER, POINTER, SIZE, SIZE, SIZE, SIZE, FLAG],
    "unsplit": [POINTER, POINTER, SIZE, SIZE, SIZE, SIZE, FLAG],
    "merge": [POINTER, POINTER, SIZE, SIZE, SIZE, SIZE, FLAG],
    "unmerge": [POINTER, POINTER, SIZE, SIZE, SIZE, SIZE, FLAG],
    "kernels": [POINTER, POINTER, SIZE, SIZE, FLAG],
    "unkernels": [POINTER, POINTER, SIZE, SIZE, FLAG],
    "columns": [POINTER, POINTER, SIZE, SIZE, SIZE, SIZE, FLAG, FLAG, FLAG],
    "uncolumns": [POINTER, POINTER, SIZE, SIZE, SIZE, SIZE, FLAG, FLAG, FLAG],
    "masked": [POINTER, POINTER, POINTER, SIZE, NUMBER],
    "opened": [POINTER, POINTER, POINTER, POINTER, POINTER, SIZE, SIZE, SIZE, NUMBER],
    "topped": [POINTER, POINTER, POINTER, POINTER, SIZE, SIZE, SIZE, NUMBER],
    "lowered": [POINTER, POINTER, POINTER, SIZE, SIZE, SIZE],
    "weighted": [POINTER, POINTER, POINTER, SIZE, SIZE],
    "moments": [*[POINTER] * 2, *[SIZE] * 3],
    "normalised": [*[POINTER] * 9, *[SIZE] * 3, ctypes.c_double, *[NUMBER] * 3],
    "unmoments": [*[POINTER] * 7, *[SIZE] * 3, NUMBER],
    "unnormalised": [*[POINTER] * 8, *[SIZE] * 3, ctypes.c_double, NUMBER],
    "gathered": [POINTER, POINTER, POINTER, SIZE, SIZE, SIZE],
}


def cache_folder() -> Path:
    """Where what was measured and compiled for this machine is kept: XDG_CACHE_HOME/wgan, or ~/.cache/wgan."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wgan"


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled maps; None where there are none."""
    if os.environ.get("WGAN_NATIVE") == "0" or not sys.platform.startswith("linux"):
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError, RuntimeError, AttributeError):
        file = _compiled()
        try:
            found = ctypes.CDLL(str(file))
        except OSError:
            # damaged since it was made
            file.unlink()
            found = ctypes.CDLL(str(_compiled()))
        for name, arguments in SIGNATURES.items():
            for kind in ("float", "bf16"):
                getattr(found, f"{name}_{kind}").argtypes = arguments
        return found
    return None


def _compiled() -> Path:
    """The library's file, made when it is not in the cache."""
    compiler = shlex.split(os.environ.get("CC") or "cc")
    # -march=native means this processor: its name is part of what decides
    made_of = [file.read_text(encoding="utf-8") for file in (*SOURCES, *HEADERS)]
    text = repr((compiler, FLAGS, processor(), torch.__version__, made_of))
    file = cache_folder() / f"maps-{digest(text)}.so"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as aside, ThreadPoolExecutor() as together:
            objects = [f"{aside}/{source.stem}.o" for source in SOURCES]
            each = zip(SOURCES, objects, strict=True)
            list(together.map(_run, ([*compiler, *FLAGS, "-c", str(source), "-o", to] for source, to in each)))
            _run([*compiler, *FLAGS, "-shared", *objects, "-o", f"{aside}/{file.name}"])
            os.replace(f"{aside}/{file.name}", file)
    return file


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=PATIENCE, capture_output=True)


def digest(text: str) -> str:
    """16 hexadecimal digits, the same in every process."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=1)
def processor() -> str:
    """The processor's name and what it can do, as far as the system tells."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        told = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in lines if ":" in line}
        return f"{told.get('model name', '')} {told.get('flags', '')}"
    return ""
