"""`python -m workers [--queues retrieval.cpu,sparsity.cpu]`: Celery's worker with the pool that we need."""

import argparse
import sys

from leaderboard.broker import queue_name
from workers.celery import app

ON_CPU = ",".join(queue_name(track, "cpu") for track in ("retrieval", "sparsity"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m workers", description="Evaluate what is submitted.")
    parser.add_argument("--queues", default=ON_CPU, help="default: %(default)s")
    options = parser.parse_args()
    queues = [queue.strip() for queue in options.queues.split(",") if queue.strip()]
    from workers import admission, heartbeat, host  # once Django is set up

    try:
        with admission.admitted(queues):
            _work(",".join(queues))
    except host.NotStarted as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except heartbeat.ShuttingDown:
        return 0
    return 0


def _work(queues: str) -> None:
    pool = ["--pool", "threads", "--concurrency", "1"]
    # Workers have nothing to say to each other: rows say who does what.
    alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(["--quiet", "worker", *pool, *alone, "--loglevel", "INFO", "--queues", queues])


if __name__ == "__main__":
    sys.exit(main())
