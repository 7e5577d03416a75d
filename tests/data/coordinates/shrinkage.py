"""Makes shrinkage.json: a small sample of correlated features, and how well scikit-learn's Ledoit-Wolf estimate predicts new ones.

    python3 shrinkage.py > shrinkage.json      # numpy 2, scikit-learn 1.9

`sample` is [n, D], drawn from a normal distribution of the given covariance whose correlation matrix has eigenvalues over four
decades, as those of molecules have. For the first `n` rows of each case: `shrinkage` is scikit-learn's intensity for the
standardised rows, and `score` the mean over new points, exactly, of -log(density) / D of the normal distribution with the mean and
the shrunk covariance of those rows.
"""

import json

import numpy as np
from sklearn.covariance import ledoit_wolf

D, N = 16, 64
random = np.random.default_rng(7)
rotation, _ = np.linalg.qr(random.normal(size=(D, D)))
deviations = np.logspace(-3, -0.5, D)[random.permutation(D)]
eigenvalues = np.logspace(-4, 0.7, D)
covariance = rotation @ np.diag(eigenvalues) @ rotation.T
unit = np.sqrt(np.diag(covariance))
covariance = covariance / np.outer(unit, unit) * np.outer(deviations, deviations)
sample = random.multivariate_normal(np.linspace(-1, 1, D), covariance, size=N).round(7)

cases = []
for n in [3 * D // 4, D, N]:
    rows = sample[:n]
    mean, scale = rows.mean(0), rows.std(0, ddof=1)
    shrunk, shrinkage = ledoit_wolf((rows - mean) / scale, assume_centered=True)
    estimate = shrunk * np.outer(scale, scale)
    offset = mean - np.linspace(-1, 1, D)
    inverse = np.linalg.inv(estimate)
    score = 0.5 * (np.linalg.slogdet(2 * np.pi * estimate)[1] + np.trace(inverse @ covariance) + offset @ inverse @ offset)
    cases.append({"n": n, "shrinkage": shrinkage, "score": score / D})
exact = 0.5 * (np.linalg.slogdet(2 * np.pi * covariance)[1] + D) / D
print(
    json.dumps(
        {
            "features": D,
            "mean": np.linspace(-1, 1, D).tolist(),
            "covariance": covariance.ravel().tolist(),
            "exact_score": exact,
            "cases": cases,
            "sample": sample.ravel().tolist(),
        }
    )
)
