"""The composition root of training, with a custom source of rows."""

from mlchassis import Project

from .features import compute_features
from .source import read_orders

project = Project(features=compute_features, source=read_orders)
