"""ASGI middleware around every route of the service."""

from mlchassis.serving.middleware.request_id import REQUEST_ID_HEADER, choose_request_id
from mlchassis.serving.middleware.request_middleware import RequestMiddleware

__all__ = ["REQUEST_ID_HEADER", "RequestMiddleware", "choose_request_id"]
