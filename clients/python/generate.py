"""Makes ``src/vitrine_client/types.py`` from the API's document. ``--check`` only compares.

Needs ``datamodel-code-generator`` in the version of ``tests/api/requirements.txt``.
"""

import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
DOCUMENT = HERE.parent.parent / "openapi.yaml"
TYPES = HERE / "src/vitrine_client/types.py"


def generated() -> str:
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder, "types.py")
        command = [sys.executable, "-m", "datamodel_code_generator", "--input", str(DOCUMENT), "--output", str(output)]
        command += ["--input-file-type", "openapi", "--output-model-type", "typing.TypedDict"]
        command += ["--target-python-version", "3.11", "--enum-field-as-literal", "all", "--disable-timestamp"]
        command += ["--use-schema-description", "--use-field-description", "--use-double-quotes"]
        command += ["--openapi-scopes", "schemas", "--formatters", "builtin"]
        subprocess.run(command, check=True)
        return output.read_text()


def main() -> int:
    text = generated()
    if "--check" not in sys.argv:
        TYPES.write_text(text)
        return 0
    if TYPES.read_text() == text:
        return 0
    print(f"{TYPES} is out of date: run `python generate.py` in clients/python", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
