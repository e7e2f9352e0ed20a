"""HTTP/1.1 on an event loop: connections with limits, and ASGI exchanges."""
