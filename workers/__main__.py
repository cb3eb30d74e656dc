"""`python -m workers [--queues retrieval.cpu,sparsity.cpu]`: Celery's worker with the pool that we need."""

import argparse

from leaderboard.broker import queue_name
from workers.celery import app

ON_CPU = ",".join(queue_name(track, "cpu") for track in ("retrieval", "sparsity", "latency"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m workers", description="Evaluate what is submitted.")
    parser.add_argument("--queues", default=ON_CPU, help="default: %(default)s")
    options = parser.parse_args()
    pool = ["--pool", "threads", "--concurrency", "1"]
    # Workers have nothing to say to each other: rows say who does what.
    alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(["--quiet", "worker", *pool, *alone, "--loglevel", "INFO", "--queues", options.queues])


if __name__ == "__main__":
    main()
