"""MLflow's tracking server on free ports, one with TLS, until the standard input ends; then DIRECTORY goes.

    server.py DIRECTORY

Serves the application that `mlflow server` serves, with an SQLite database and artefacts in DIRECTORY, and prints
{"http": port, "https": port} once it listens. The certificate is DIRECTORY/tls.crt, for `localhost`.
"""

import json
import os
import shutil
import socket
import sys
import threading

directory = os.path.abspath(sys.argv[1])
# What `mlflow server` tells the processes it starts.
os.environ["_MLFLOW_SERVER_FILE_STORE"] = f"sqlite:///{directory}/mlflow.db"
os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = "mlflow-artifacts:/"
os.environ["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] = f"{directory}/artifacts"
os.environ["_MLFLOW_SERVER_SERVE_ARTIFACTS"] = "true"
os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import uvicorn
from mlflow.server.fastapi_app import app
from mlflow.server.handlers import initialize_backend_stores
from sqlalchemy import Engine, event
from werkzeug.serving import make_ssl_devcert


@event.listens_for(Engine, "connect")
def hurry(connection, _):
    """Nothing of this database outlives the tests: never wait for the disk."""
    connection.execute("PRAGMA synchronous = OFF")


initialize_backend_stores(os.environ["_MLFLOW_SERVER_FILE_STORE"], None, "mlflow-artifacts:/")
certificate, key = make_ssl_devcert(f"{directory}/tls", host="localhost")
ports = {}
for scheme, tls in [("http", {}), ("https", {"ssl_certfile": certificate, "ssl_keyfile": key})]:
    listener = socket.create_server(("127.0.0.1", 0))
    ports[scheme] = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", **tls))
    threading.Thread(target=server.run, args=([listener],), daemon=True).start()
# Connections wait in the listeners until they are served.
print(json.dumps(ports), flush=True)
sys.stdin.read()
shutil.rmtree(directory, ignore_errors=True)
# The servers' threads would be waited for.
os._exit(0)
