"""The stack a team would write itself: FastAPI, ONNX Runtime and hnswlib around the same bundle.

Serves POST /v1/recommendations {"customer_id", "k"} from a bundle of system R (customer id, age, month) and the customers of an
H&M-schema directory: BUNDLE=models/retrieval/<version> DATA=../shared/data/hm-sample uvicorn http_peer:app
"""
import csv, datetime, json, math, os, pathlib
import hnswlib, numpy, onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel

bundle, data = pathlib.Path(os.environ["BUNDLE"]), pathlib.Path(os.environ["DATA"])
manifest = json.loads((bundle / "manifest.json").read_text())
features = manifest["schema"]["query"]["features"]


def vocabulary(name):
    lines = (bundle / "vocabularies" / f"{name}.txt").read_text().split("\n")
    return [line for line in lines if line]


lookups = {f["vocabulary"]: {v: i for i, v in enumerate(vocabulary(f["vocabulary"]))} for f in features if "vocabulary" in f}
article_ids = vocabulary("article_id")
with open(data / "customers.csv", newline="") as file:
    ages = {row["customer_id"]: float(row["age"]) if row["age"] else None for row in csv.DictReader(file)}

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
query_tower = onnxruntime.InferenceSession(str(bundle / "query_tower.onnx"), options, providers=["CPUExecutionProvider"])
input_names = {i.name for i in query_tower.get_inputs()}
raw = (bundle / "items.bin").read_bytes()
count, dim, stride = numpy.frombuffer(raw, "<u8", 3, 16).tolist()
vectors = numpy.frombuffer(raw, "<f4", count * stride, 64).reshape(count, stride)[:, :dim]
index = hnswlib.Index(space="ip", dim=vectors.shape[1])
index.init_index(max_elements=len(vectors), ef_construction=128, M=16)
index.add_items(vectors)
index.set_ef(64)


class Request(BaseModel):
    customer_id: str
    k: int = 12


def encode(customer_id):
    indices, numbers = [], []
    for f in features:
        kind = f["encoding"]
        if kind in ("embedding", "one-hot"):
            indices.append(lookups[f["vocabulary"]].get(customer_id, f["rows"] - 1))
        elif kind == "number":
            age = ages.get(customer_id)
            numbers.append(0.0 if age is None else (age - f["mean"]) / f["std"])
        elif kind == "cyclic-month":
            angle = 2 * math.pi * (datetime.date.today().month - 1) / 12
            numbers += [math.sin(angle), math.cos(angle)]
        else:
            raise SystemExit(f"the peer does not know the encoding {kind}")
    inputs = {"indices": numpy.array([indices], numpy.int64), "numbers": numpy.array([numbers], numpy.float32)}
    return {name: value for name, value in inputs.items() if name in input_names}


app = FastAPI()


@app.post("/v1/recommendations")
async def recommendations(request: Request):
    vector = query_tower.run(None, encode(request.customer_id))[0]
    labels, distances = index.knn_query(vector, k=request.k, num_threads=1)
    items = [
        {"article_id": article_ids[label], "rank": rank + 1, "score": 1.0 - float(distance), "source": "model"}
        for rank, (label, distance) in enumerate(zip(labels[0], distances[0]))
    ]
    return {"items": items, "meta": {"model": {"name": manifest["name"], "version": manifest["version"]}}}


@app.get("/readyz")
async def ready():
    return {"status": "ready"}
