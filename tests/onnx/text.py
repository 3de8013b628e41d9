"""Vectors of texts by ONNX Runtime, from the weights of a BERT encoder.

    text.py ENCODER TEXTS VECTORS

ENCODER holds config.json, tokenizer.json and model.safetensors; the graph is written here from them. TEXTS is
{"texts": [...], "max_tokens": N}; VECTORS becomes {"mean": [[...], ...], "cls": [[...], ...]}. All texts run as one
padded batch, so that the mask is tested as well.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer


def tensors(path: Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    types = {"F32": np.float32, "I64": np.int64}
    found = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = (8 + size + offset for offset in entry["data_offsets"])
            found[name] = np.frombuffer(data[start:end], types[entry["dtype"]]).reshape(entry["shape"])
    return found


class Graph:
    def __init__(self) -> None:
        self.nodes, self.constants = [], []

    def constant(self, value) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name


def build(weights: dict[str, np.ndarray], config: dict) -> onnx.ModelProto:
    graph = Graph()
    heads, width = config["num_attention_heads"], config["hidden_size"]
    shape = graph.constant(np.array([0, 0, heads, width // heads], np.int64))
    flat = graph.constant(np.array([0, 0, width], np.int64))

    def linear(x: str, name: str) -> str:
        product = graph.add("MatMul", x, graph.constant(weights[f"{name}.weight"].T))
        return graph.add("Add", product, graph.constant(weights[f"{name}.bias"]))

    def norm(x: str, name: str) -> str:
        scale, shift = (graph.constant(weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return graph.add("LayerNormalization", x, scale, shift, axis=-1, epsilon=config["layer_norm_eps"])

    def split(x: str, order: list[int]) -> str:
        return graph.add("Transpose", graph.add("Reshape", x, shape), perm=order)

    x = graph.add("Gather", graph.constant(weights["embeddings.word_embeddings.weight"]), "tokens")
    positions = graph.constant(weights["embeddings.position_embeddings.weight"])
    x = graph.add("Add", x, graph.add("Gather", positions, "positions"))
    x = graph.add("Add", x, graph.constant(weights["embeddings.token_type_embeddings.weight"][0]))
    x = norm(x, "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        query = split(linear(x, f"{at}.attention.self.query"), [0, 2, 1, 3])
        key = split(linear(x, f"{at}.attention.self.key"), [0, 2, 3, 1])
        value = split(linear(x, f"{at}.attention.self.value"), [0, 2, 1, 3])
        scores = graph.add("MatMul", query, key)
        scores = graph.add("Div", scores, graph.constant(np.float32(np.sqrt(width / heads))))
        mixed = graph.add("MatMul", graph.add("Softmax", graph.add("Add", scores, "mask"), axis=-1), value)
        mixed = graph.add("Reshape", graph.add("Transpose", mixed, perm=[0, 2, 1, 3]), flat)
        out = linear(mixed, f"{at}.attention.output.dense")
        x = norm(graph.add("Add", x, out), f"{at}.attention.output.LayerNorm")
        wide = linear(x, f"{at}.intermediate.dense")
        error = graph.add("Erf", graph.add("Div", wide, graph.constant(np.float32(np.sqrt(2)))))
        half = graph.add("Mul", wide, graph.constant(np.float32(0.5)))
        wide = graph.add("Mul", half, graph.add("Add", error, graph.constant(np.float32(1))))
        x = norm(graph.add("Add", x, linear(wide, f"{at}.output.dense")), f"{at}.output.LayerNorm")
    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", "length"]),
        helper.make_tensor_value_info("positions", TensorProto.INT64, ["length"]),
        helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["batch", 1, 1, "length"]),
    ]
    outputs = [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["batch", "length", width])]
    body = helper.make_graph(graph.nodes, "bert", inputs, outputs, graph.constants)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main() -> None:
    encoder, texts, vectors = map(Path, sys.argv[1:])
    request = json.loads(texts.read_text())
    config = json.loads((encoder / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(request["max_tokens"])
    rows = [tokenizer.encode(text).ids for text in request["texts"]]
    length = max(map(len, rows))
    tokens = np.array([row + [0] * (length - len(row)) for row in rows], np.int64)
    known = np.array([[1.0] * len(row) + [0.0] * (length - len(row)) for row in rows], np.float32)

    model = build(tensors(encoder / "model.safetensors"), config)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    mask = ((1 - known) * np.float32(-1e9))[:, None, None, :]
    feed = {"tokens": tokens, "positions": np.arange(length), "mask": mask}
    hidden = session.run(None, feed)[0]
    mean = (hidden * known[:, :, None]).sum(1) / known.sum(1, keepdims=True)
    vectors.write_text(json.dumps({"mean": mean.tolist(), "cls": hidden[:, 0].tolist()}))


main()
