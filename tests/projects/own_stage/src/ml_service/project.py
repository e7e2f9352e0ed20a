"""The composition root of training, with a custom stage."""

import pandas as pd
from mlchassis import Project
from mlchassis.config.params import Params
from mlchassis.project import Workspace

from .features import compute_features


def count_rows(workspace: Workspace, params: Params) -> str:
    """Count the rows of each split."""
    counts = {
        file.stem: len(pd.read_parquet(file)) for file in sorted(workspace.splits.glob("*.parquet"))
    }
    output = workspace.reports / "counts.csv"
    output.write_text("".join(f"{name},{count}\n" for name, count in counts.items()))
    return f"{sum(counts.values())} rows in {len(counts)} splits, made with seed {params.seed}"


project = Project(features=compute_features, stages={"count-rows": count_rows})
