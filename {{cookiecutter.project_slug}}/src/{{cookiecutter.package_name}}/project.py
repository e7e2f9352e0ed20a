"""The composition root of training: the objects of this project that the pipeline uses."""

from mlchassis import Project

from .features import compute_features
from .source import read_flights

project = Project(
    features=compute_features,
    source=read_flights,
)
