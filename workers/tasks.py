"""The one task. It may be delivered twice, late, or after its evaluation is over."""

import logging

from django.db import DatabaseError

from evaluations.errors import EvaluationError
from leaderboard.boards import results
from leaderboard.broker import EVALUATE
from leaderboard.submissions import lifecycle
from leaderboard.submissions.lifecycle import Claim, LeaseLost

from . import artefacts, calibration, host, reports, runner, workspace
from .celery import app
from .heartbeat import Heartbeat, ShuttingDown

logger = logging.getLogger(__name__)

BUG = "The board's software failed, not your system. The operator's log has the details."


@app.task(name=EVALUATE, acks_late=True, ignore_result=True)
def evaluate(evaluation_id: str) -> None:
    """Claim an evaluation and see it through."""
    claim = lifecycle.claim(evaluation_id, host.WORKER)
    if claim is None:  # over, or another worker holds a live lease
        return
    logger.info(
        "submission %s: attempt %d at %s", claim.submission_id, claim.attempt, ", ".join(claim.tracks)
    )
    try:
        attempt(claim)
    except LeaseLost:
        logger.info("submission %s was cancelled or taken over", claim.submission_id)
    except (DatabaseError, OSError):
        logger.exception("submission %s is tried again when its lease runs out", claim.submission_id)


def attempt(claim: Claim) -> None:
    """One attempt. Raises LeaseLost, and DatabaseError or OSError where the next attempt may fare better."""
    try:
        with Heartbeat(claim) as heartbeat, workspace.attempt_folder() as folder:
            job = runner.load_job(claim, folder)
            report = runner.run(job, heartbeat)
            if reason := reports.rejection(report):
                logger.info("submission %s: rejected: %s", claim.submission_id, reason)
                lifecycle.reject(claim, reports.host_of(report), reason)
                return
            report.write(job.scored)
            stored = artefacts.store(claim, job.scored)
            heartbeat.flush()
            results.commit(claim, report, stored)
    except ShuttingDown:
        lifecycle.release(claim)
    except calibration.HostUnfit as unfit:
        logger.info("submission %s: rejected: %s", claim.submission_id, unfit.reason)
        lifecycle.reject(claim, unfit.profile, unfit.reason)
    except EvaluationError as error:
        logger.warning("submission %s: %s", claim.submission_id, error)
        lifecycle.fail(claim, error.code, error.message)
    except (LeaseLost, DatabaseError, OSError):
        raise
    except Exception:  # the task's edge: a bug of ours must not repeat itself three times
        logger.exception("submission %s met a bug", claim.submission_id)
        lifecycle.fail(claim, "INTERNAL", BUG)
