"""Makes transport.json and tica.json: distances by POT (`ot.emd2`), components by SciPy. pip install pot==0.9.7.post1 scipy==1.17.1"""

import json
import pathlib

import numpy
import ot
import scipy.linalg

here = pathlib.Path(__file__).parent


def sequence(seed):
    """Park and Miller's generator, the same in the Rust tests."""
    while True:
        seed = seed * 16807 % 2147483647
        yield seed / 2147483647


def draw(seed, n, dimension, scale, shift):
    numbers = sequence(seed)
    values = [scale * (2 * next(numbers) - 1) + shift for _ in range(n * dimension)]
    return numpy.array(values).reshape(n, dimension)


def squared(a, b, circular):
    difference = a[:, None] - b[None]
    if circular:
        difference -= 2 * numpy.pi * numpy.round(difference / (2 * numpy.pi))
    return (difference**2).sum(-1)


def w2(a, b, circular):
    uniform = ot.unif(len(a)), ot.unif(len(b))
    return ot.emd2(*uniform, squared(a, b, circular), numItermax=10**9) ** 0.5


def systematic(weights, n, offset):
    """Indices at equal steps through the cumulative weights."""
    points = (numpy.arange(n) + offset) / n
    return numpy.searchsorted(numpy.cumsum(weights) / weights.sum(), points, side="right")


cases = []
for seed, n, dimension, scale, shift, circular in [
    (1, 40, 1, 3.1, 0.5, True),
    (2, 200, 2, 3.1, 0.0, True),
    (3, 500, 6, 1.5, 2.5, True),
    (4, 700, 4, 0.3, 3.0, True),
    (5, 300, 2, 2.0, 0.7, False),
    (6, 1000, 2, 1.0, 0.0, False),
]:
    a, b = draw(seed, n, dimension, 3.1 if circular else 2.0, 0.0), draw(seed + 100, n, dimension, scale, shift)
    # Log weights of a, for systematic resampling with offset 0.25 to n / 2 points, against the first n / 2 of b.
    log_weights = draw(seed + 200, n, 1, 1.5, 0.0)[:, 0]
    chosen = systematic(numpy.exp(log_weights), n // 2, 0.25)
    case = dict(seed=seed, n=n, dimension=dimension, scale=scale, shift=shift, circular=circular)
    case["w2"] = w2(a, b, circular)
    case["chosen"] = [int(i) for i in chosen] if n <= 200 else None
    if case["chosen"]:
        case["resampled_w2"] = w2(a[chosen], b[: n // 2], circular)
    cases.append(case)
(here / "transport.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


def hopping(seed, frames, torsions):
    """Angles that drift at different rates and hop between two wells now and then."""
    numbers = sequence(seed)
    angles, well, rows = [0.3 * k for k in range(torsions)], 0, []
    for _ in range(frames):
        if next(numbers) < 0.02:
            well = 1 - well
        for k in range(torsions):
            angles[k] = 0.9 * angles[k] + (0.5 + 0.2 * k) * (2 * next(numbers) - 1)
        rows.append([angles[k] + (2.5 * well if k == 1 else 0.0) for k in range(torsions)])
    return numpy.array(rows)


def tica(segments, lag, k):
    ends = numpy.concatenate([s[:-lag] for s in segments if len(s) > lag]), numpy.concatenate([s[lag:] for s in segments if len(s) > lag])
    mean = (ends[0].mean(0) + ends[1].mean(0)) / 2
    x, y = ends[0] - mean, ends[1] - mean
    instantaneous, lagged = x.T @ x + y.T @ y, x.T @ y + y.T @ x
    values, vectors = scipy.linalg.eigh(lagged, instantaneous / (2 * len(x)))
    values, vectors = values[::-1][:k] / (2 * len(x)), vectors[:, ::-1][:, :k]
    vectors *= numpy.sign(vectors[numpy.abs(vectors).argmax(0), numpy.arange(k)])
    return values, vectors, mean


frames, torsions, lag = 1200, 3, 7
angles = hopping(11, frames, torsions)
features = numpy.stack([numpy.cos(angles), numpy.sin(angles)], 2).reshape(frames, -1)
bounds = [0, 500, 505, frames]  # the second segment is shorter than the lag
values, vectors, mean = tica([features[a:b] for a, b in zip(bounds, bounds[1:])], lag, 2)
projected = (features - mean) @ vectors
other = hopping(12, frames, torsions)
other = (numpy.stack([numpy.cos(other), numpy.sin(other)], 2).reshape(frames, -1) - mean) @ vectors
case = dict(seed=11, other_seed=12, frames=frames, torsions=torsions, lag=lag, bounds=bounds)
case["correlations"] = values.tolist()
case["first_rows"] = projected[:5].tolist()
case["w2"] = w2(projected, other, False)
(here / "tica.json").write_text(json.dumps(case, indent=1) + "\n")
