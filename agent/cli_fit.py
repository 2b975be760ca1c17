"""`sage-iad fit` and `sage-iad export`: a detector from photos of good parts alone, and its copy for other runtimes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agent.cli_errors import make_folder, one_line_errors

if TYPE_CHECKING:
    from PIL.Image import Image

    from agent.normals import Normals
    from agent.vlm import Eye
    from tools.fit import FittedDetector
    from tools.other_detectors import OtherDetector

Name = Literal["patchcore", "padim", "efficientad", "dinomaly", "anomalydino", "winclip"]
Category = Annotated[str, typer.Argument(help="Name of the detector; give it to `inspect --category`.")]


def fit(
    category: Category,
    normal_dir: Annotated[
        list[Path], typer.Argument(metavar="NORMAL_DIR...", help="Photos of good parts: a folder, or files.")
    ],
    detector: Annotated[Name, typer.Option(help="Kind of detector.")] = "patchcore",
    false_alarm_rate: Annotated[float, typer.Option(help="Share of good parts that may be called anomalous.")] = 0.01,
    add: Annotated[
        bool, typer.Option("--add", help="Add the photos, such as false alarms, to the detector there is.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare the photos with those of the fit; nothing is changed.")
    ] = False,
    weights: Annotated[
        Path | None, typer.Option(help="File or folder of pre-trained weights, for the kinds that stand on some.")
    ] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch pre-trained weights that are missing.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the page fit.html; default: beside the detector.")
    ] = None,
) -> None:
    """Fit a detector and its threshold to photos of good parts alone; leaves a page on what was found.

    Example: sage-iad fit bracket photos/good --false-alarm-rate 0.05
    """
    with one_line_errors():
        from agent.fit_summary import patchcore_of, summarise, summary_lines
        from agent.home import default_home
        from agent.images import InputError
        from agent.normals import Normals
        from agent.render.fit_page import write_fit_page
        from tools.card import detector_folder, find_detector

        if add and check:
            raise InputError("--add --check: one changes the detector and the other must not; give one of them")
        home = default_home()
        folder = detector_folder(home, category)
        make_folder(out)
        normals = Normals(normal_dir)
        eye = _eye()
        with _stoppable():
            if add or check:
                purpose = "so nothing can be added to it" if add else "so nothing can be compared with it"
                known = patchcore_of(find_detector(home, category, eye), category, purpose)
            if check:
                _check(known, normals)
                return
            if add:
                with _read(normals) as photos:
                    made: FittedDetector | OtherDetector = known.add(photos, normals.names)
            else:
                made = _fit(detector, eye, normals, false_alarm_rate, weights, download)
            summary = summarise(category, folder, made, normals)
        made.save(folder)
        page = write_fit_page(summary, folder if out is None else out)
    for warning in summary.warnings:
        typer.echo(f"note: {warning}", err=True)
    for line in summary_lines(summary):
        typer.echo(line)
    typer.echo(f"detector {folder}\npage {page}")


def export(
    category: Category,
    out: Annotated[Path, typer.Option(help="Folder for detector.onnx and its card.")],
) -> None:
    """Write a fitted detector as one ONNX file with the same scores, for runtimes without Python.

    Example: sage-iad export bracket --out bracket-onnx
    """
    with one_line_errors(extra="export"):
        from agent.fit_summary import patchcore_of
        from agent.home import default_home
        from tools.card import find_detector
        from tools.export import TOLERANCE, export_onnx

        make_folder(out)
        eye = _eye()
        known = patchcore_of(find_detector(default_home(), category, eye), category, "so nothing can be exported")
        with _stoppable():
            place = export_onnx(known, eye.model, out)
    typer.echo(f"{category}: exported to {place}; scores within {TOLERANCE:g} of the detector's, checked")


def _eye() -> Eye:
    from transformers.utils import logging

    from agent.vlm import Eye
    from agent.vlm.nano import shipped

    logging.disable_progress_bar()  # weights of a few megabytes need none
    return Eye.load(shipped("sage-eye"))


def _fit(
    name: Name, eye: Eye, normals: Normals, rate: float, weights: Path | None, download: bool
) -> FittedDetector | OtherDetector:
    from tools.fit import fit_detector, sample_photos

    normals.chosen = sample_photos(normals.found)
    if name == "patchcore":
        with _read(normals) as photos:
            return fit_detector(eye, photos, rate, names=normals.names, given=len(normals.found))
    from tools.other_detectors import fit_other, model_of

    model = model_of(name, eye, weights=weights, download=download)
    with _read(normals) as photos:
        return fit_other(name, model, photos, rate)


def _check(known: FittedDetector, normals: Normals) -> None:
    from tools.fit import sample_photos

    normals.chosen = sample_photos(normals.found)
    with _read(normals) as photos:
        drift = known.drift(photos)
    for warning in normals.warnings():
        typer.echo(f"note: {warning}", err=True)
    typer.echo(drift.words)


@contextmanager
def _read(normals: Normals) -> Iterator[Iterator[Image]]:
    """The photos behind a progress bar on stderr."""
    with typer.progressbar(normals.chosen, label="reading and fitting", file=sys.stderr) as bar:
        yield normals.read(bar)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Until something is written, Ctrl-C ends the command with one line."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("\nsage-iad: stopped; nothing was changed", err=True)
        raise typer.Exit(130) from None
