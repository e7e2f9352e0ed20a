"""All paths of a project."""

from dataclasses import dataclass
from pathlib import Path

from mlchassis.errors import ProjectError


@dataclass(frozen=True, slots=True)
class Paths:
    """The files and folders of the project at `root`."""

    root: Path

    @property
    def contract(self) -> Path:
        """The data contract."""
        return self.root / "contract.yaml"

    @property
    def params(self) -> Path:
        """The pipeline's parameters."""
        return self.root / "params.yaml"

    @property
    def behavior(self) -> Path:
        """Behavioral tests, as data."""
        return self.root / "behavior.yaml"

    @property
    def chassis(self) -> Path:
        """The folder of the chassis, which an upgrade replaces."""
        return self.root / "chassis"

    @property
    def dvc_lock(self) -> Path:
        """DVC's record of the last run, with the hash of every input and output."""
        return self.root / "dvc.lock"

    @property
    def raw(self) -> Path:
        """One Parquet file per month, as it arrived."""
        return self.root / "data" / "raw"

    @property
    def accepted(self) -> Path:
        """The rows that keep the contract, one file per month."""
        return self.root / "data" / "accepted"

    @property
    def quarantine(self) -> Path:
        """The rows that break the contract, with the reason, one file per month."""
        return self.root / "data" / "quarantine"

    @property
    def splits(self) -> Path:
        """The splits: train, validation and test."""
        return self.root / "data" / "splits"

    @property
    def models(self) -> Path:
        """Trained estimators, before export."""
        return self.root / "models" / "trained"

    @property
    def bundle(self) -> Path:
        """The candidate's bundle."""
        return self.root / "models" / "bundle"

    @property
    def reports(self) -> Path:
        """Facts, one JSON file per stage."""
        return self.root / "reports"

    @property
    def judgement(self) -> Path:
        """The judgement of the candidate by the gates."""
        return self.reports / "judgement.json"

    @property
    def plots(self) -> Path:
        """Pictures and curves."""
        return self.reports / "plots"

    @property
    def var(self) -> Path:
        """The state of this machine, which git does not hold."""
        return self.root / "var"

    @property
    def adopting(self) -> Path:
        """Journal of an adoption in progress."""
        return self.var / "adopting.json"

    @property
    def store(self) -> Path:
        """Deployed bundles and the pointer to the one that is served."""
        return self.var / "deployed"

    @property
    def predictions(self) -> Path:
        """The prediction log, one file per worker."""
        return self.var / "predictions"


def find_project(inside: Path) -> Paths:
    """The project that a folder is in, such as that of its notebooks.

    Raises:
        ProjectError: It is in none.
    """
    for folder in (inside, *inside.parents):
        if (folder / "params.yaml").exists() and (folder / "contract.yaml").exists():
            return Paths(folder)
    raise ProjectError(f"{inside} is in no project; open the notebook where it lies in one.")
