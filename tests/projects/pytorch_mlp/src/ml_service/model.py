"""A small neural network in PyTorch: embeddings for categories beside scaled numbers."""

import io
from typing import Annotated

import numpy as np
import torch
from mlchassis import Dataset, FeatureMatrix, ParamsSection, SearchRange
from mlchassis.extensions.onnx import compose, encode_categories
from numpy.typing import NDArray
from torch import Tensor, nn

LARGEST = 8.0
"""Scaled numbers are cut here, so that no outlier leaves the range of the training rows."""


class Network(nn.Module):
    """Scores of shape (rows, classes) from numbers and codes of categories."""

    def __init__(self, numbers: NDArray[np.float32], sizes: list[int], hidden: int) -> None:
        super().__init__()
        spread = np.nanstd(numbers, axis=0)
        self.mean = nn.Buffer(torch.tensor(np.nanmean(numbers, axis=0)))
        self.spread = nn.Buffer(torch.tensor(np.where(spread > 0, spread, 1)))
        widths = [min(8, size) for size in sizes]
        # The last code stands for every category that training did not see.
        self.embeddings = nn.ModuleList(
            nn.Embedding(size + 1, width) for size, width in zip(sizes, widths, strict=True)
        )
        self.layers = nn.Sequential(
            nn.Linear(2 * numbers.shape[1] + sum(widths), hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 2),
        )

    def forward(self, numeric: Tensor, codes: Tensor) -> Tensor:
        """Return the logits of both classes."""
        missing = torch.isnan(numeric)
        present = torch.where(missing, self.mean, numeric)
        scaled = torch.clamp((present - self.mean) / self.spread, -LARGEST, LARGEST)
        parts = [embed(codes[:, column]) for column, embed in enumerate(self.embeddings)]
        return self.layers(torch.cat([scaled, missing.float(), *parts], dim=1))


class Probabilities(nn.Module):
    """The network with probabilities instead of logits."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, numeric: Tensor, codes: Tensor) -> Tensor:
        """Return the probabilities of both classes."""
        return torch.softmax(self.network(numeric, codes), dim=1)


class FittedMlp:
    """A trained network, and the categories of each column."""

    def __init__(self, network: Network, tables: list[list[str]]) -> None:
        self.model = Probabilities(network).eval()
        self.tables = tables

    def predict(self, features: FeatureMatrix) -> NDArray[np.float32]:
        """Return probabilities of shape (rows, 2)."""
        with torch.no_grad():
            scores: NDArray[np.float32] = self.model(*to_tensors(features, self.tables)).numpy()
        return scores

    def to_onnx(self, opset: int) -> bytes:
        """Return the network's graph behind a graph that encodes strings."""
        width = self.model.network.mean.shape[0]
        example = (torch.zeros(2, width), torch.zeros(2, len(self.tables), dtype=torch.int64))
        names = ["numeric", "codes"]
        content = io.BytesIO()
        torch.onnx.export(
            self.model,
            example,
            content,
            input_names=names,
            output_names=["scores"],
            dynamic_axes={name: {0: "rows"} for name in [*names, "scores"]},
            opset_version=opset,
            dynamo=False,
        )
        return compose(encode_categories(self.tables, opset), content.getvalue())


class Mlp:
    """Fit the network with Adam; keep the epoch that is best on the validation rows."""

    name = "mlp"

    class Params(ParamsSection):
        """The section `train.mlp` of params.yaml; `make study` searches within the ranges."""

        hidden: Annotated[int, SearchRange(0.5, 4)] = 32
        epochs: int = 60
        batch_rows: int = 64
        learning_rate: Annotated[float, SearchRange(0.2, 5)] = 0.005

    def fit(self, train: Dataset, validation: Dataset, params: Params, seed: int) -> FittedMlp:
        """Return the network of the best epoch."""
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        columns = train.features.categorical.T
        tables = [sorted(set(map(str, column))) for column in columns]
        network = Network(train.features.numeric, [len(table) for table in tables], params.hidden)
        optimizer = torch.optim.Adam(network.parameters(), lr=params.learning_rate)
        inputs = to_tensors(train.features, tables)
        target = torch.tensor(train.target, dtype=torch.int64)
        check = to_tensors(validation.features, tables)
        truth = torch.tensor(validation.target, dtype=torch.int64)
        best = float("inf")
        kept = network.state_dict()
        for _ in range(params.epochs):
            for rows in torch.randperm(len(target)).split(params.batch_rows):
                optimizer.zero_grad()
                logits = network(*(part[rows] for part in inputs))
                nn.functional.cross_entropy(logits, target[rows]).backward()
                optimizer.step()
            with torch.no_grad():
                loss = float(nn.functional.cross_entropy(network(*check), truth))
            if loss < best:
                best = loss
                kept = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(kept)
        return FittedMlp(network, tables)


def to_tensors(features: FeatureMatrix, tables: list[list[str]]) -> tuple[Tensor, Tensor]:
    """Return numbers and codes of categories; an unseen category has the last code."""
    codes = np.empty(features.categorical.shape, dtype=np.int64)
    for column, table in enumerate(tables):
        places = {name: code for code, name in enumerate(table)}
        strings = features.categorical[:, column]
        codes[:, column] = [places.get(str(name), len(table)) for name in strings]
    return torch.tensor(features.numeric), torch.tensor(codes)
