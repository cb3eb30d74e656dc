"""The processes that evaluate: Celery's worker, and the evaluator it runs for each claim."""
