"""Benches against peers. `make bench` runs them in an environment of their own and writes docs/benchmarks.md.

A bench is a file `bench_*.py` here with a `BENCH`. Nothing here is a test: pytest collects none of it.
"""
