"""Columns to predictions: features, then the ONNX graph; for API, evaluation and batch scoring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlchassis.bundle.bundle import Bundle, BundleError, load_bundle, measure_error
from mlchassis.contract.schemas import read_frame, request_model
from mlchassis.features.code import FeatureCode
from mlchassis.features.encoding import (
    ColumnBuilder,
    Columns,
    FeatureMatrix,
    columns_from_frame,
    columns_from_rows,
)
from mlchassis.telemetry import silence_telemetry

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Answers:
    """A model's answers to some rows.

    Attributes:
        values: The predicted class labels (objects) or numbers (float64), shape (rows,).
        probabilities: float64, shape (rows, classes) in the contract's order of classes; None for
            regression.
    """

    values: NDArray[Any]
    probabilities: NDArray[np.float64] | None

    @property
    def columns(self) -> list[NDArray[Any]]:
        """The values, then the probabilities of each class."""
        return [self.values, *([] if self.probabilities is None else self.probabilities.T)]

    @property
    def scores(self) -> NDArray[np.float64]:
        """Probabilities, or the predicted numbers as one column: shape (rows, classes or 1)."""
        return self.values.reshape(-1, 1) if self.probabilities is None else self.probabilities


class OnnxModel:
    """An ONNX graph with the inputs `numeric` and `categorical`.

    Args:
        model: The serialized graph.
        threads: Threads for one call; 0 leaves it to ONNX Runtime (all cores).
    """

    def __init__(self, model: bytes, threads: int = 1) -> None:
        silence_telemetry()
        import onnxruntime  # Only now: its Linux wheels read the setting when they are imported.

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Without it, bytes of another format, which `graph_rules` does not know, are read too.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
            # A classifier's graph gives the label, then the probabilities; a regressor's one
            # tensor.
            self._output = self._session.get_outputs()[-1].name
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's have no class in common
            raise _refuse_graph(error) from None
        self._inputs = {node.name for node in self._session.get_inputs()}

    def score(self, matrix: FeatureMatrix) -> NDArray[np.float64]:
        """Class probabilities, or predicted numbers: shape (rows, classes or 1)."""
        offered = {"numeric": matrix.numeric, "categorical": matrix.categorical}
        inputs = {name: values for name, values in offered.items() if name in self._inputs}
        try:
            (scores,) = self._session.run([self._output], inputs)
            return np.asarray(scores, dtype=np.float64)
        except Exception as error:  # noqa: BLE001 - as above, or it gives no array of numbers
            raise _refuse_graph(error) from None


def _refuse_graph(error: Exception) -> BundleError:
    reason = " ".join(str(error).split()).rstrip(".")
    return BundleError(
        f"ONNX Runtime rejects the model's graph ({reason:.200}); export it again with the "
        "packages that are installed here."
    )


class Scorer:
    """A loaded bundle: features and ONNX graph.

    Raises:
        BundleError: `features.py` gives other features than the bundle's model takes.
    """

    def __init__(self, bundle: Bundle, features: FeatureCode, threads: int = 1) -> None:
        self.bundle = bundle
        self.features = features
        self.builder = ColumnBuilder(bundle.contract)
        self._model = OnnxModel(bundle.model, threads)
        self._labels = np.array(bundle.metadata.classes, dtype=object)
        self._width = max(1, len(bundle.metadata.classes))

    def score_rows(self, rows: Sequence[Mapping[str, Any]]) -> Answers:
        """Score records that satisfy the contract."""
        return self.score(columns_from_rows(self.bundle.contract, rows))

    def score_values(self, rows: Sequence[tuple[Any, ...]]) -> Answers:
        """Score rows of the contract's request columns, in their order."""
        return self.score(self.builder.build(rows))

    def score_frame(self, frame: "pd.DataFrame") -> Answers:
        """Score the rows of a data frame that has the contract's feature columns."""
        return self.score(columns_from_frame(self.bundle.contract, frame))

    def score(self, columns: Columns) -> Answers:
        """Score the contract's feature columns, each of shape (rows,)."""
        matrix = self.features.arrange(columns)
        metadata = self.bundle.metadata
        expected = (metadata.numeric_features, metadata.categorical_features)
        if (list(matrix.numeric_names), list(matrix.categorical_names)) != expected:
            raise BundleError(
                "features.py gives other features than the bundle's model takes; train again."
            )
        scores = self._model.score(matrix)
        if scores.shape[1:] != (self._width,):
            raise BundleError(
                f"Bundle {self.bundle.digest[:12]}: the graph's scores for a row have the shape "
                f"{scores.shape[1:]}, not ({self._width},); export it again."
            )
        if metadata.task == "regression":
            return Answers(scores[:, 0], None)
        return Answers(self._decide(scores), scores)

    def check_golden(self) -> None:
        """Score the golden requests and compare with training's scores.

        Raises:
            BundleError: An answer differs by more than the bundle's tolerance.
        """
        golden = self.bundle.metadata.golden
        actual = self.score_rows([entry.request for entry in golden]).scores
        # An answer of another length differs as far as one can.
        expected = np.full(actual.shape, np.nan)
        for row, entry in enumerate(golden):
            if len(entry.scores) == actual.shape[1]:
                expected[row] = entry.scores
        error = measure_error(expected, actual, self.bundle.metadata.unit)
        worst = int(error.max(axis=1).argmax())
        # Written so that NaN, which compares false with everything, is refused too.
        if not error[worst].max() <= self.bundle.metadata.tolerance:
            raise BundleError(
                f"Bundle {self.bundle.digest[:12]}: golden request {worst} is answered with "
                f"{actual[worst].tolist()}, but training answered {expected[worst].tolist()}; "
                "serving computes otherwise than training, so the bundle is rejected."
            )

    def is_batch_invariant(self) -> bool:
        """True if a row's scores are bit-identical alone and within a batch.

        Trees do so. Where numbers are summed in an order that depends on how many rows there are,
        or a feature looks at other rows, the golden requests tell.
        """
        rows = [entry.request for entry in self.bundle.metadata.golden]
        alone = np.concatenate([self.score_rows([row]).scores for row in rows])
        together = self.score_rows([*rows, *reversed(rows)]).scores
        return np.array_equal(together, np.concatenate([alone, alone[::-1]]))

    def _decide(self, probabilities: NDArray[np.float64]) -> NDArray[Any]:
        threshold = self.bundle.metadata.threshold
        if threshold is None:
            chosen = probabilities.argmax(axis=1)
        else:
            chosen = (probabilities[:, 1] >= threshold).astype(int)
        labels: NDArray[Any] = self._labels[chosen]
        return labels


class _Pyfunc:
    """MLflow's pyfunc flavor: a frame of raw columns in, a frame of predictions out."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._record = request_model(scorer.bundle.contract, scorer.bundle.metadata.formats)

    def predict(self, model_input: "pd.DataFrame") -> "pd.DataFrame":
        """Return what `POST /predict` would return, and reject what it would reject."""
        return self._tabulate(self._scorer.score_rows(read_frame(self._record, model_input)))

    def get_raw_model(self) -> "_Pyfunc":
        """For rows of a newer contract, which two models are compared on: see `answer`."""
        return self

    def answer(self, rows: "pd.DataFrame") -> "pd.DataFrame":
        """Score rows without validation by the contract."""
        return self._tabulate(self._scorer.score_frame(rows))

    def _tabulate(self, answers: Answers) -> "pd.DataFrame":
        import pandas as pd

        names = self._scorer.bundle.contract.outputs
        return pd.DataFrame(dict(zip(names, answers.columns, strict=True)))


def load_pyfunc(data_path: str, features: FeatureCode) -> _Pyfunc:
    """Load a bundle as MLflow's pyfunc flavor calls it."""
    return _Pyfunc(Scorer(load_bundle(Path(data_path), features), features))
