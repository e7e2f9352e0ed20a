"""Health of a Grafana that has its password and its provisioning files."""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

FILES = (
    "/etc/grafana/json/service.json",
    "/etc/grafana/provisioning/dashboards/service.yaml",
    "/etc/grafana/provisioning/datasources/prometheus.yaml",
)


class Health(BaseHTTPRequestHandler):
    """Answer `/api/health` if all files can be read."""

    def do_GET(self) -> None:
        """Respond with 200, or 503 if a file is missing."""
        complete = all(Path(name).is_file() for name in FILES)
        ready = complete and len(os.environ["GF_SECURITY_ADMIN_PASSWORD"]) > 10
        self.send_response(200 if ready and self.path == "/api/health" else 503)
        self.end_headers()
        self.wfile.write(json.dumps({"database": "ok"}).encode())


HTTPServer(("0.0.0.0", 3000), Health).serve_forever()  # noqa: S104 - within a container
