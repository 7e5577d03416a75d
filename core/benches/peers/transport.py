"""Exact optimal transport with POT. usage: transport.py FOLDER DIMENSION N...; x0-N.f32 and x1-N.f32 in FOLDER hold the
points, row-major. A call returns the mean squared distance of a pair."""
import pathlib
import sys

from serve import missing, serve

try:
    import numpy
    import ot
except ImportError as error:
    missing(error)


def transport(n):
    x0, x1 = (
        numpy.fromfile(pathlib.Path(sys.argv[1]) / f"{name}-{n}.f32", dtype="f4")
        .reshape(n, int(sys.argv[2])).astype(float)
        for name in ("x0", "x1"))
    return float(ot.emd2(ot.unif(n), ot.unif(n), ot.dist(x0, x1), numItermax=10**9))


serve(f"POT {ot.__version__}", {n: lambda n=int(n): transport(n) for n in sys.argv[3:]})
