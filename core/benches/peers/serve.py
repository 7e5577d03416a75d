"""How a peer serves the benchmark: one JSON request per line on standard input, one JSON answer per line on standard output.

The first line names the peer (or the module that it lacks). A request {"work": NAME, "seconds": S} repeats the work for S
seconds, once at least; the answer has the median seconds of one call and what the last call returned."""
import json
import sys
import time


def missing(error):
    """Ends a script whose module is not installed."""
    print(json.dumps({"missing": error.name}))
    sys.exit()


def serve(peer, works):
    """Answers requests for `works`, functions by name, until standard input ends."""
    print(json.dumps({"peer": peer}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        work, times, begin = works[request["work"]], [], time.perf_counter()
        while not times or time.perf_counter() - begin < request["seconds"]:
            start = time.perf_counter()
            value = work()
            times.append(time.perf_counter() - start)
        print(json.dumps({"seconds": sorted(times)[len(times) // 2], "value": value}), flush=True)
