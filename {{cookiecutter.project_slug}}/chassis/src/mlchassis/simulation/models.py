"""Models that do not answer requests: the first one, and the newest that was trained."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlchassis.bundle.bundle import load_bundle, load_deployed, read_pointer
from mlchassis.bundle.scorer import Scorer
from mlchassis.config.params import Params
from mlchassis.contract.model import Contract, class_name
from mlchassis.errors import ProjectError
from mlchassis.evaluation.metrics import encode_target, metrics_for
from mlchassis.project import Workspace
from mlchassis.simulation.results import Scores
from mlchassis.simulation.service import Answer

Floats = NDArray[np.float64]
_FAR = 2.0
"""A predicted number is wrong if its error is so many times the mean error."""


class ComparedModels:
    """Scores of the champion, of the first model and of the newest one on the same rows.

    Args:
        workspace: The scratch project, whose first model is trained.
        params: Its parameters.
        contract: Its contract.
        folder: Place for copies of bundles.
    """

    def __init__(
        self, workspace: Workspace, params: Params, contract: Contract, folder: Path
    ) -> None:
        self._workspace = workspace
        self.contract = contract
        self._folder = folder
        metrics = metrics_for(
            contract.task, params.evaluate.calibration_bins, workspace.project.metrics
        )
        self.metric = metrics[params.judge.metric]
        self._first = self._load("first")
        self._fresh = self._first

    def take_newest(self, name: str) -> None:
        """Copy the bundle that was just trained: it is the fresh model from now on."""
        self._fresh = self._load(name)

    def _load(self, name: str) -> Scorer:
        path = self._folder / name
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self._workspace.bundle, path)
        features = self._workspace.features
        return Scorer(load_bundle(path, features), features, threads=0)

    def measure(self, rows: pd.DataFrame, answers: Sequence[Answer]) -> Scores:
        """Measure the three models on the labeled rows that were answered."""
        labeled, given = self._select(rows, answers)
        if labeled.empty:
            return Scores(champion=None, never_retrained=None, fresh=None)
        target = self._encode(labeled)
        return Scores(
            champion=self._measure(target, read_scores(given, self.contract)),
            never_retrained=self._measure(target, self._first.score_frame(labeled).scores),
            fresh=self._measure(target, self._fresh.score_frame(labeled).scores),
        )

    def count_wrong(self, rows: pd.DataFrame, answers: Sequence[Answer]) -> int:
        """Count the responses that were wrong."""
        labeled, given = self._select(rows, answers)
        return self._count([answer.prediction for answer in given], labeled)

    def count_wrong_without(self, clean: pd.DataFrame, answers: Sequence[Answer]) -> int:
        """Count the wrong predictions of the deployed model on the same rows without faults."""
        labeled, given = self._select(clean, answers)
        if not given:
            return 0
        predictions = self._load_deployed().score_frame(labeled).values
        return self._count(list(predictions), labeled)

    def _count(self, predictions: Sequence[Any], rows: pd.DataFrame) -> int:
        target = rows[self.contract.target.name]
        if self.contract.classes:
            return sum(a != b for a, b in zip(predictions, target, strict=True))
        error = np.abs(np.array(predictions, dtype=float) - target.to_numpy(dtype=float))
        return int((error > self._find_tolerance()).sum())

    def _load_deployed(self) -> Scorer:
        pointer = read_pointer(self._workspace.store)
        if pointer is None:
            raise ProjectError("The simulation deployed no model; run it again.")
        features = self._workspace.features
        return Scorer(load_deployed(self._workspace.store, pointer.digest, features), features)

    def _find_tolerance(self) -> float:
        """Return the largest error of a number that is not wrong."""
        reference = self._first.bundle.metadata.monitoring
        if reference is None:
            return float("inf")
        counts = reference.loss.counts[:, :-1].sum(axis=0)
        means = np.array(reference.loss.cells.means)
        return _FAR * float(counts @ means / max(1, counts.sum()))

    def _select(
        self, rows: pd.DataFrame, answers: Sequence[Answer]
    ) -> tuple[pd.DataFrame, list[Answer]]:
        known = rows[self.contract.target.name].notna().to_numpy()
        answered = np.array([answer.outcome == "answered" for answer in answers], dtype=bool)
        chosen = known & answered
        given = [answer for answer, keep in zip(answers, chosen, strict=True) if keep]
        return rows[chosen], given

    def _encode(self, rows: pd.DataFrame) -> Floats:
        return encode_target(rows[self.contract.target.name].to_numpy(), self.contract.classes)

    def _measure(self, target: Floats, scores: Floats) -> float | None:
        value = float(self.metric.prepare(target, scores)(np.ones_like(target)))
        return value if np.isfinite(value) else None


def read_scores(answers: Sequence[Answer], contract: Contract) -> Floats:
    """Return responses as scores, shape (rows, classes or 1)."""
    if not contract.classes:
        return np.array([[float(answer.prediction)] for answer in answers])
    names = [class_name(label) for label in contract.classes]
    return np.array([_order(answer.probabilities, names) for answer in answers])


def _order(probabilities: dict[str, Any] | None, names: Sequence[str]) -> list[float]:
    given = probabilities or {}
    return [float(given[name]) for name in names]
