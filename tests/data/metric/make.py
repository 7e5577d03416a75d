"""Makes the fixtures of this folder from ArviZ, SciPy and NumPy: python3 make.py"""

import pathlib
import warnings

warnings.simplefilter("ignore")
import arviz
import numpy
import scipy.optimize
import scipy.stats

here = pathlib.Path(__file__).parent
random = numpy.random.default_rng(20190704)


def write(name, header, rows):
    def text(value):
        return value if isinstance(value, str) else repr(value.item() if hasattr(value, "item") else value)

    lines = [f"# {header}"] + [",".join(text(value) for value in row) for row in rows]
    (here / name).write_text("\n".join(lines) + "\n")


def log_weights(kind, n, scale):
    """The formulas of log_weights in core/src/metric/pareto.rs."""
    p = ((numpy.arange(n) * 17 + 3) % n + 0.5) / n
    return scale * {"pareto": lambda: -numpy.log1p(-p), "logistic": lambda: numpy.log(p / (1 - p)), "sine": lambda: numpy.sin(3 * p)}[kind]()


def k_hat(weights):
    return float(arviz.psislw(weights.copy())[1])


rows = []
for kind in ["pareto", "logistic", "sine"]:
    for n in [25, 101, 225, 1001, 20001]:
        for scale in [0.05, 0.5, 1.0, 3.0]:
            for zeros in [0, n // 3]:
                weights = log_weights(kind, n, scale)
                weights[:zeros] = -numpy.inf
                rows.append([kind, n, scale, zeros, k_hat(weights)])
rows.append(["logistic", 1001, 400.0, 0, k_hat(log_weights("logistic", 1001, 400.0))])
rows.append(["logistic", 1001, 4000.0, 0, k_hat(log_weights("logistic", 1001, 4000.0))])
write("k_hat.csv", "kind of log weights, N, scale, how many of the first are -inf, k-hat by arviz.psislw", rows)

# Student t log weights: heavy and irregular. The second column are values to average.
weights = 1.5 * random.standard_t(8, 600)
values = random.normal(3.0, 2.0, 600) + 0.3 * weights
write("log_weights.csv", "log weight, value", zip(weights, values))
write("log_weights_k_hat.csv", "k-hat by arviz.psislw", [[k_hat(weights)]])
w = numpy.exp(0.3 * weights)  # milder, so that a jackknife and the delta method agree
left_out = [(numpy.delete(w, i) @ numpy.delete(values, i)) / numpy.delete(w, i).sum() for i in range(600)]
jackknife = numpy.sqrt(599 / 600 * ((left_out - numpy.mean(left_out)) ** 2).sum())
write("weighted_average.csv", "numpy.average, jackknife standard error", [[numpy.average(values, weights=w), jackknife]])


def by_linear_programming(x, p, y, q, power):
    """Optimal transport without using that the line is ordered."""
    cost = numpy.abs(x[:, None] - y[None, :]) ** power
    n, m = cost.shape
    rows_sum = numpy.kron(numpy.eye(n), numpy.ones(m))
    columns_sum = numpy.kron(numpy.ones(n), numpy.eye(m))
    solved = scipy.optimize.linprog(
        cost.ravel(), A_eq=numpy.vstack([rows_sum, columns_sum]), b_eq=numpy.concatenate([p, q]), method="highs"
    )
    assert solved.success
    plan = solved.x.reshape(n, m)
    return (plan * cost).sum() ** (1 / power)


x, y = random.normal(0, 1, 100), random.gumbel(0.4, 1.3, 100)
x[:5] = y[:5]  # ties
log_p, log_q = random.normal(0, 1, 100), random.normal(0, 2, 100)
normalised = lambda logs: numpy.exp(logs) / numpy.exp(logs).sum()
p, q, u = normalised(log_p), normalised(log_q), numpy.full(70, 1 / 70)
write("wasserstein.csv", "value a, log weight a, value b, log weight b", zip(x, log_p, y, log_q))
w1 = scipy.stats.wasserstein_distance
expected = [
    w1(x, y, p, q),
    by_linear_programming(x, p, y, q, 2),
    w1(x[:70], y, u, q),
    by_linear_programming(x[:70], u, y, q, 2),
]
assert abs(by_linear_programming(x, p, y, q, 1) - expected[0]) < 1e-9
write("wasserstein_expected.csv", "W1 (SciPy) and W2 (linear programming) of a and b; of the first 70 a, unweighted, and b", [expected])
