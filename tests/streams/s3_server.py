"""A real S3 server (moto's) for the tests of the store: a process of its own on loopback, on a free port."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTALLED = all(importlib.util.find_spec(name) for name in ("moto", "boto3", "flask", "flask_cors"))
SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLE"

# Requests are answered one at a time, so that a conditional write is as atomic as on other servers.
PROGRAM = """
import socket, sys, threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
application, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()
def one_at_a_time(environ, start_response):
    with lock:
        return application(environ, start_response)
server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Start the server with an empty bucket ``air-quality``; gives the environment variables that lead to it."""
    server = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              cwd=Path(__file__).parents[2], text=True)
    try:
        endpoint = f"http://127.0.0.1:{int(server.stdout.readline())}"
        import boto3

        boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="AKIAEXAMPLE",
                     aws_secret_access_key=SECRET).create_bucket(Bucket="air-quality")
        yield {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
               "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true"}
    finally:
        server.terminate()
        server.wait(10)
        server.stdout.close()
