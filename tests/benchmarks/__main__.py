"""`python -m tests.benchmarks [NAME...] [--quick]`: runs the benches, writes docs/benchmarks.md."""

import argparse
import importlib
from pathlib import Path

from tests.benchmarks import page
from tests.benchmarks.framework import Bench, Size


def benches() -> dict[str, Bench]:
    """Every `bench_*.py` beside this file, by its bench's name."""
    files = sorted(Path(__file__).parent.glob("bench_*.py"))
    found = [importlib.import_module(f"tests.benchmarks.{file.stem}").BENCH for file in files]
    return {bench.name: bench for bench in found}


def main() -> None:
    known = benches()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all without one")
    parser.add_argument("--quick", action="store_true", help="small and short, printed, not for the page")
    parser.add_argument("--rounds", type=int, default=5, help="turns each contender takes")
    options = parser.parse_args()
    if unknown := set(options.names) - set(known):
        parser.error(f"no bench {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in options.names or known:
        machine = page.machine()
        section = known[name].run(Size(options.quick, options.rounds))
        if options.quick:
            print(section)
        else:
            page.store(name, section, machine)
            page.write()


if __name__ == "__main__":
    main()
