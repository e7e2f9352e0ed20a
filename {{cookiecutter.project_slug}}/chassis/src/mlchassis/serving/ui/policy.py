"""Content security policy of the service's pages."""

import base64
import hashlib


def page_headers(page: str, *, assets: bool = False) -> dict[str, str]:
    """Return headers that allow a page its inline script and style by hash, and own requests.

    Args:
        page: Document with one inline script and one inline style.
        assets: True if the page loads scripts, styles and images of this service.
    """
    own = "'self' " if assets else ""
    policy = (
        f"default-src 'none'; connect-src 'self'; img-src {own}data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; "
        f"script-src {own}{_hash(page, 'script')}; style-src {own}{_hash(page, 'style')}"
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _hash(page: str, tag: str) -> str:
    content = page.split(f"<{tag}>", 1)[1].split(f"</{tag}>", 1)[0]
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
