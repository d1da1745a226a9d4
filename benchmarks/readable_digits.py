"""Can the digits of `make train` be read? The share of conditional samples that a classifier takes for their label.

    python benchmarks/readable_digits.py results/digits-wgan-gp [MORE RUNS ...]

The reader is a support vector machine (scikit-learn, RBF kernel, C = 10) trained on every other real digit; its
share on the rest is printed first. Each run then gives 1,000 samples (seed 1), its labels in turn. A generator that
draws noise gets 0.1. Needs scikit-learn: pip install scikit-learn.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import wgan


def reader() -> tuple[Any, float]:
    """(a classifier of images in [-1, 1] as rows of 64, its share of right answers on digits that it has not seen)."""
    from sklearn.svm import SVC

    digits = wgan.data.load("digits")
    x, labels = digits.array.reshape(digits.count, -1) / 127.5 - 1, digits.labels
    classifier = SVC(C=10).fit(x[::2], labels[::2])
    return classifier, float((classifier.predict(x[1::2]) == labels[1::2]).mean())


def readable(classifier: Any, sampler: wgan.Sampler, n: int = 1000) -> float:
    """The share of n samples of a conditional run that the classifier takes for their label."""
    taken = classifier.predict(sampler.sample(n, seed=1).flatten(1).numpy())
    return float((taken == np.arange(n) % len(sampler.classes)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+")
    told = parser.parse_args()
    classifier, share = reader()
    print(f"{share:.3f}  real digits that the reader has not seen")
    for path in told.runs:
        sampler = wgan.load(path)
        print(f"{readable(classifier, sampler):.3f}  {path}, step {sampler.step}")


if __name__ == "__main__":
    main()
