"""Checks towers with the ONNX checker and compares ONNX Runtime's answers with the expected ones.

    check.py DIRECTORY

Every DIRECTORY/<case>/ holds tower.onnx and case.json: {"inputs": {name: {"shape", "values"}}, "dim", "expected",
"external"}. A tower in parts has {"parts": [{"encoder": file, "indices"} or {"columns"}], "batch"} in place of "inputs":
what its encoders give and the other columns, side by side, are the input of tower.onnx. Prints one line a case; ends with status 1 when one fails.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

TOLERANCE = 1e-4
TYPES = {"indices": np.int64, "numbers": np.float32}


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def inputs(directory: Path, case: dict) -> dict[str, np.ndarray]:
    if "parts" not in case:
        return {
            name: np.array(tensor["values"], TYPES[name]).reshape(tensor["shape"])
            for name, tensor in case["inputs"].items()
        }
    columns = []
    for part in case["parts"]:
        if "encoder" in part:
            path = directory / part["encoder"]
            onnx.checker.check_model(str(path), full_check=True)
            indices = np.array(part["indices"], np.int64).reshape(case["batch"], -1)
            columns.extend(session(path).run(["embedding"], {"indices": indices}))
        else:
            columns.append(np.array(part["columns"], np.float32).reshape(case["batch"], -1))
    return {"numbers": np.concatenate(columns, axis=1)}


def check(directory: Path) -> str:
    path = directory / "tower.onnx"
    case = json.loads((directory / "case.json").read_text())
    onnx.checker.check_model(str(path), full_check=True)

    model = onnx.load(str(path), load_external_data=False)
    assert (model.ir_version, model.opset_import[0].version) == (8, 17), "IR and operator set"
    assert model.producer_name == "vitrine" and model.doc_string and model.graph.doc_string, "names and documentation"
    feeds = inputs(directory, case)
    assert [i.name for i in model.graph.input] == list(feeds), "inputs"
    for value in [*model.graph.input, *model.graph.output]:
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch", f"the batch axis of {value.name} is free"
    external = [t for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    assert bool(external) == case["external"], "external data"
    for tensor in external:
        entries = {e.key: e.value for e in tensor.external_data}
        assert entries["location"] == "tower.onnx.data" and int(entries["offset"]) % 4096 == 0, entries

    (found,) = session(path).run(["embedding"], feeds)
    expected = np.array(case["expected"], np.float32).reshape(-1, case["dim"])
    assert found.dtype == np.float32 and found.shape == expected.shape, f"{found.shape} instead of {expected.shape}"
    difference = float(np.abs(found - expected).max())
    assert difference <= TOLERANCE, f"differs by {difference}"
    return f"largest difference {difference:.1e}"


def main() -> int:
    failed = 0
    cases = sorted(Path(sys.argv[1]).iterdir())
    for directory in cases:
        try:
            print(f"ok   {directory.name}: {check(directory)}")
        except Exception as error:  # every case is reported, whatever it dies of
            failed += 1
            print(f"FAIL {directory.name}: {type(error).__name__}: {error}")
    print(f"{len(cases) - failed} of {len(cases)} cases agree (onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__})")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
