"""The composition root of training: the objects of this project that the pipeline uses."""

from mlchassis import Project

from .features import compute_features
from .model import Mlp

project = Project(features=compute_features, estimators=[Mlp()])
