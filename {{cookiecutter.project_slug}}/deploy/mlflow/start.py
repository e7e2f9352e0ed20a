"""Create the buckets that are missing in the storage, then become MLflow's server."""

import os

import boto3

BUCKETS = ("mlflow", "dvc")
# All addresses of its container; the stack publishes the port on 127.0.0.1 alone.
HOST = "0.0.0.0"  # noqa: S104
SERVER = ["mlflow", "server", "--host", HOST, "--port", "5000", "--workers", "1"]


def create_buckets() -> None:
    """Create a bucket for MLflow's artifacts and one for DVC, unless they exist."""
    storage = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
    existing = {bucket["Name"] for bucket in storage.list_buckets()["Buckets"]}
    for name in BUCKETS:
        if name not in existing:
            storage.create_bucket(Bucket=name)


if __name__ == "__main__":
    create_buckets()
    os.execvp(SERVER[0], SERVER)  # noqa: S606
