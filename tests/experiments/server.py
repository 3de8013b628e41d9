"""MLflow's tracking server on free ports, one with TLS, until the standard input ends.

    server.py DIRECTORY

Serves the application that `mlflow server` serves, with an SQLite database and artefacts in DIRECTORY, and prints
{"http": port, "https": port} once it listens. The certificate is DIRECTORY/tls.crt, for `localhost`.
"""

import json
import os
import sys
import threading

directory = os.path.abspath(sys.argv[1])
# What `mlflow server` tells the processes it starts.
os.environ["_MLFLOW_SERVER_FILE_STORE"] = f"sqlite:///{directory}/mlflow.db"
os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = "mlflow-artifacts:/"
os.environ["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] = f"{directory}/artifacts"
os.environ["_MLFLOW_SERVER_SERVE_ARTIFACTS"] = "true"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

from mlflow.server import app
from mlflow.server.handlers import initialize_backend_stores
from werkzeug.serving import make_server, make_ssl_devcert

initialize_backend_stores(os.environ["_MLFLOW_SERVER_FILE_STORE"], None, "mlflow-artifacts:/")
tls = make_ssl_devcert(f"{directory}/tls", host="localhost")
ports = {}
for scheme, context in [("http", None), ("https", tls)]:
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=context)
    ports[scheme] = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps(ports), flush=True)
sys.stdin.read()
