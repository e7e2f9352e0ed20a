"""Model report and model card. The names below are for a project's own report sections."""

from mlchassis.html.blocks import Bars, Curve, Table, Text

__all__ = ["Bars", "Curve", "Table", "Text"]
