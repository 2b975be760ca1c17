"""Pages for people: one self-contained HTML file each, nothing fetched, no script, every text from outside escaped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markupsafe import Markup

    from evals.figures.metrics import Metric

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(template: str, **values: Any) -> str:
    """The page that a template of this folder makes of the values; a value the template lacks is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(signed=_signed, interval=_interval)
    return environment.get_template(template).render(policy=_POLICY, **values)


def markup(svg: str | None) -> Markup | None:
    """A chart of ours, drawn from numbers and fixed words, as it is."""
    from markupsafe import Markup

    return None if svg is None else Markup(svg)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−") if value else f"{value:.3f}"


def _interval(metric: Metric) -> str:
    if metric.ci95 is None:
        return ""
    low, high = (round(end, 2) + 0.0 for end in metric.ci95)  # adding 0 makes -0.0 a 0
    return f"{low:.2f} to {high:.2f}".replace("-", "−")
