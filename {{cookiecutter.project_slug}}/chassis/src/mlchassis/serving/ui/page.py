"""`GET /`: a form made from the contract, so that anybody can try the model in a browser."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from pydantic_core import to_json

from mlchassis.bundle.column_reference import CategoricalReference
from mlchassis.contract.model import Column, class_name
from mlchassis.contract.schemas import example_record
from mlchassis.formatting import name_metric
from mlchassis.serving.loading import LoadedModel, ModelHolder
from mlchassis.serving.ui.policy import page_headers

_PAGE = Path(__file__).with_name("page.html")
_FACTS = '<script type="application/json" id="facts">{}</script>'


def page_route(holder: ModelHolder) -> APIRouter:
    """The page about the model that answers now."""
    router = APIRouter(include_in_schema=False)
    page = _PAGE.read_text(encoding="utf-8")
    headers = page_headers(page)

    @router.get("/")
    async def show() -> HTMLResponse:
        # Data, not script: the policy lets it stand, and `<` cannot end it early.
        facts = to_json(describe(holder.current)).decode().replace("<", "\\u003c")
        return HTMLResponse(page.replace(_FACTS, _FACTS.replace("{}", facts)), headers=headers)

    return router


def make_login_page() -> HTMLResponse:
    """Return the page without data; it asks the browser for an API key.

    Nothing of a model is in it, and it is a refusal all the same.
    """
    page = _PAGE.read_text(encoding="utf-8")
    return HTMLResponse(page, 401, {"WWW-Authenticate": "Bearer", **page_headers(page)})


def describe(model: LoadedModel) -> dict[str, Any]:
    """Data of the page: the fields, an example, and the model card."""
    contract = model.contract
    identity = model.identity
    metadata = model.scorer.bundle.metadata
    card = {
        "Name": identity.name,
        "Version": identity.version,
        "Contract": f"{contract.name} {contract.version}",
        "Bundle": identity.digest[:12],
        "Seen until": metadata.seen_until and _say_moment(metadata.seen_until),
        "Threshold": None if metadata.threshold is None else f"{metadata.threshold:.3f}",
        **{
            f"{name_metric(name)} (validation)": f"{value:.4g}"
            for name, value in metadata.validation_metrics.items()
        },
    }
    return {
        "title": f"Try {identity.name}",
        "purpose": contract.description,
        "target": contract.target.name,
        "target_kind": contract.target.kind,
        "threshold": metadata.threshold,
        "positive": class_name(contract.classes[1]) if metadata.task == "binary" else None,
        "columns": [
            {**asdict(column), "suggestions": _suggest(model, column)}
            for column in contract.features
        ],
        "example": example_record(contract),
        "card": {name: value for name, value in card.items() if value is not None},
    }


def _suggest(model: LoadedModel, column: Column) -> list[str]:
    """The words that training saw most in a column, unless they could tell of a person."""
    if column.kind != "string" or column.values or column in model.contract.pii:
        return []
    seen = model.scorer.bundle.metadata.reference.get(column.name)
    return sorted(seen.shares) if isinstance(seen, CategoricalReference) else []


def _say_moment(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
