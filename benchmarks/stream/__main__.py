"""Run the scenarios, all or those named: ``python -m benchmarks.stream crowd stalled``.

``--connections 200`` takes a smaller crowd, to try things out: goals are printed all the same.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

LIMITS_S = {
    "fan_out": 240,
    "latency": 180,
    "crowd": 360,
    "stalled": 300,
    "browsers": 120,
    "rolling": 240,
    "soak": 800,
}
"""How long each may take at most: together less than three quarters of an hour."""
TO_CLEAN_UP_S = 45


def main() -> int:
    """Run each in a process of its own, and say in the end which met their goals."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(LIMITS_S))
    parser.add_argument("--connections", type=int, help="of the crowd; each scenario has its own")
    wanted = parser.parse_args()
    unknown = [name for name in wanted.scenarios if name not in LIMITS_S]
    if unknown:
        parser.error(f"no scenario is called {unknown[0]}; there are: {', '.join(LIMITS_S)}")
    outcomes = {name: run(name, wanted.connections) for name in wanted.scenarios or LIMITS_S}
    print("\n== summary ==")
    for name, outcome in outcomes.items():
        print(f"{name:<10} {outcome}")
    return int(any(not outcome.startswith("all goals met") for outcome in outcomes.values()))


def run(name: str, connections: int | None) -> str:
    """Run one scenario; what came of it, in words."""
    print(f"\n== {name} ==", flush=True)
    command = [sys.executable, "-m", f"benchmarks.stream.{name}", "--within", str(LIMITS_S[name])]
    if connections is not None:
        command += ["--connections", str(connections)]
    began = time.monotonic()
    try:
        code = subprocess.run(
            command, check=False, timeout=LIMITS_S[name] + TO_CLEAN_UP_S
        ).returncode
    except subprocess.TimeoutExpired:
        return "FAILED: did not end, even after its time was over"
    words = {0: "all goals met", 1: "GOALS MISSED"}.get(code, f"FAILED with {code}")
    return f"{words}, after {time.monotonic() - began:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
