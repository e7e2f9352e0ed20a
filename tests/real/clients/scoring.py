"""MLflow's own scoring client, and its forms, against two servers; run by a project's Python.

    python scoring.py OURS THEIRS < records.json

Prints a JSON object: for each server and each form, its predictions, or the status and the words
with which it refused.
"""

import json
import sys
from typing import Any

import pandas as pd
import requests
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


def post(address: str, body: str, media_type: str = "application/json") -> Any:
    """Ask in a form that the client does not write itself."""
    headers = {"Content-Type": media_type}
    answer = requests.post(f"{address}/invocations", body, headers=headers, timeout=60)
    if answer.status_code != requests.codes.ok:
        return {"refused": answer.status_code, "said": answer.text}
    return answer.json()["predictions"]


def ask(address: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """The predictions in every form."""
    client = ScoringServerClient(*address.removeprefix("http://").split(":"))
    client.ping()
    if not client.get_version():
        raise SystemExit(f"{address} has no version")
    # As objects: pandas would make NaN of what is missing, and floats of whole numbers beside it.
    frame = pd.DataFrame(records, dtype=object)
    found = {
        "client, frame": client.invoke(frame).get_predictions().to_dict("records"),
        "client, list": client.invoke(records).get_predictions().to_dict("records"),
    }
    columns = {name: [record[name] for record in records] for name in frame}
    forms = {
        "dataframe_split": {"columns": list(frame), "data": [[*r.values()] for r in records]},
        "dataframe_records": records,
        "instances": records,
        "inputs": columns,
    }
    for name, content in forms.items():
        found[name] = post(address, json.dumps({name: content}))
    found["text/csv"] = post(address, frame.to_csv(index=False), "text/csv")
    nothing = {name: [float("nan")] for name in columns}
    found["NaN"] = post(address, json.dumps({"inputs": nothing}))
    return found


def main() -> None:
    """Ask both."""
    records = json.load(sys.stdin)
    print(json.dumps([ask(address, records) for address in sys.argv[1:3]]))


if __name__ == "__main__":
    main()
