"""Receiver of alerts: each body that is posted is a line of the container's log."""

from http.server import BaseHTTPRequestHandler, HTTPServer


class Receiver(BaseHTTPRequestHandler):
    """Print what is posted."""

    def do_POST(self) -> None:
        """Print the path and the body as one line."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        print(self.path, body, flush=True)
        self.send_response(200)
        self.end_headers()


HTTPServer(("0.0.0.0", 9099), Receiver).serve_forever()  # noqa: S104 - within a container
