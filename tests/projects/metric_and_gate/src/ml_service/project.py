"""The composition root of training: the objects of this project that the pipeline uses."""

from mlchassis import Project

from .features import compute_features
from .gates import precise_at_the_top
from .metrics import precision_in_top_tenth

project = Project(
    features=compute_features,
    metrics=[precision_in_top_tenth],
    gates=[precise_at_the_top],
)
