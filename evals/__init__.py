"""Evaluation of the agent on labelled photos: metrics with intervals, results.json and report.html.

`evals.run.run_dataset` is the one call that does it all. Inspect AI, scikit-learn and matplotlib load where
they are used, so that importing this package is cheap.
"""

from evals.errors import EvalError

__all__ = ["EvalError"]
