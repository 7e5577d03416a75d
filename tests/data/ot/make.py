"""Exact transport costs by POT (`pip install POT numpy`), written to pot.json beside this script."""
import json
from pathlib import Path

import numpy as np
import ot


def sequence(seed):
    """Park and Miller's generator, the same in the Rust test."""
    while True:
        seed = seed * 16807 % 2147483647
        yield seed / 2147483647


cases = []
for seed, n, dim, circular, scale in [
    (1, 5, 3, [0, 0, 0], 1.0),
    (2, 60, 2, [1, 1], 1.0),
    (3, 64, 60, [0] * 60, 0.5),
    (4, 65, 7, [0, 1, 0, 1, 0, 0, 1], 0.8),
    (5, 200, 2, [1, 1], 0.3),
    (6, 500, 20, [0] * 15 + [1] * 5, 0.9),
    (7, 1000, 1, [1], 1.0),
    (8, 1000, 3, [0, 0, 0], 0.1),
]:
    numbers = sequence(seed)
    draw = lambda: np.array([6.2 * next(numbers) - 3.1 for _ in range(n * dim)]).reshape(n, dim)
    x0 = draw().astype(np.float32).astype(np.float64)
    x1 = (draw() * scale).astype(np.float32).astype(np.float64)
    difference = x0[:, None] - x1[None]
    wrapped = difference - 2 * np.pi * np.round(difference / (2 * np.pi))
    cost = (np.where(np.array(circular) == 1, wrapped, difference) ** 2).sum(-1)
    value = ot.emd2(ot.unif(n), ot.unif(n), cost, numItermax=10**9)
    cases.append(dict(seed=seed, n=n, dim=dim, circular=circular, scale=scale, emd2=value))
text = "[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n"
Path(__file__).with_name("pot.json").write_text(text)
