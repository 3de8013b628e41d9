"""Makes ``src/vitrine_client/types.py`` from the API's document. ``--check`` only compares.

Needs ``datamodel-code-generator`` in the version of ``tests/api/requirements.txt``.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import yaml

HERE = pathlib.Path(__file__).parent
DOCUMENT = HERE.parent.parent / "openapi.yaml"
TYPES = HERE / "src/vitrine_client/types.py"


def document() -> str:
    """The document, with the members of a filter as mypy can read them.

    A typed dictionary with the keys ``all``, ``any`` and ``not`` and other keys of another type needs PEP 728, which
    mypy does not know yet. So a filter's members are all that one of them may be.
    """
    parsed = yaml.safe_load(DOCUMENT.read_text())
    whole = {"$ref": "#/components/schemas/Filter"}
    member = {"anyOf": [{"$ref": "#/components/schemas/FilterCondition"}, whole, {"type": "array", "items": whole}]}
    described = parsed["components"]["schemas"]["Filter"]["description"]
    schema = {"type": "object", "description": described, "additionalProperties": member}
    parsed["components"]["schemas"]["Filter"] = schema
    # Kinds of sources and rules have parameters of their own, which a typed dictionary cannot leave open.
    for name in ("CandidateSource", "PlacementRule"):
        described = parsed["components"]["schemas"][name]["description"]
        parsed["components"]["schemas"][name] = {"type": "object", "description": described, "additionalProperties": {}}
    # YAML reads an example that is a date as one.
    return json.dumps(parsed, default=str)


def generated() -> str:
    with tempfile.TemporaryDirectory() as folder:
        source, output = pathlib.Path(folder, "openapi.json"), pathlib.Path(folder, "types.py")
        source.write_text(document())
        command = [sys.executable, "-m", "datamodel_code_generator", "--input", str(source), "--output", str(output)]
        command += ["--input-file-type", "openapi", "--output-model-type", "typing.TypedDict"]
        command += ["--target-python-version", "3.11", "--enum-field-as-literal", "all", "--disable-timestamp"]
        command += ["--use-schema-description", "--use-field-description", "--use-double-quotes"]
        command += ["--openapi-scopes", "schemas", "--formatters", "builtin", "--use-generic-container-types"]
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
