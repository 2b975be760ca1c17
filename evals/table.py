"""A Markdown table from results files: `python -m evals.table runs/suite/*/*/results.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def table(results: list[dict[str, Any]], metric: str = "image_auroc") -> str:
    """One row a data set and setting: the agent with its interval, the plain detector and the model alone beside it."""
    rows = [f"| set | setting | photos | agent {metric} | detector alone | model alone |", "|---|---|---|---|---|---|"]
    for r in sorted(results, key=lambda r: (Path(r["data"]).name, r["setting"])):
        whole = r["metrics"][metric]
        interval = "" if whole["ci95"] is None else " ({:.2f} to {:.2f})".format(*whole["ci95"])
        cells = [_number(whole) + interval, *(_number(r["baselines"][b].get(metric)) for b in ("detector", "vlm"))]
        rows.append(f"| {Path(r['data']).name} | {r['setting']} | {r['n']} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _number(metric: dict[str, Any] | None) -> str:
    return "none" if metric is None or metric["value"] is None else f"{metric['value']:.3f}"


if __name__ == "__main__":
    print(table([json.loads(Path(p).read_text(encoding="utf-8")) for p in sys.argv[1:]]))
