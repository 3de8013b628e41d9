"""Calls a running server in every way its document allows, and in ways it forbids.

    contract.py public|admin DOCUMENT URL KEY MODEL VERSION

The document does not know a shop's attributes, so those of the test shop are written into a copy of it first:
what is then valid by the document must be accepted, and everything else refused.
"""

import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

import schemathesis
import yaml

HERE = pathlib.Path(__file__).parent
TEXTS = ["bucket", "garment", "product_code"]
NUMBERS = ["price"]
FIELDS = TEXTS + NUMBERS
NUMBER = {"type": "number"}


def conditions(value, *more):
    """What a filter may say of an attribute with values of this schema."""
    plain = [value, {"type": "array", "items": value, "maxItems": 1000}, *more]
    exists = {"type": "object", "required": ["exists"], "properties": {"exists": {"type": "boolean"}}}
    negation = {"type": "object", "required": ["not"], "properties": {"not": {"oneOf": plain}}}
    objects = [{**schema, "additionalProperties": False} for schema in (exists, negation)]
    return {"oneOf": plain + objects}


def specialise(document, model, version):
    """Writes what only this shop knows into the document."""
    schemas = document["components"]["schemas"]
    texts = conditions({"type": ["string", "number", "boolean"]})
    numbers = conditions(NUMBER, {"$ref": "#/components/schemas/FilterRange"})
    groups = {"type": "array", "items": {"$ref": "#/components/schemas/FlatFilter"}, "minItems": 1, "maxItems": 256}
    attributes = {**{name: texts for name in TEXTS}, **{name: numbers for name in NUMBERS}}
    flat = {"type": "object", "properties": attributes, "additionalProperties": False}
    combined = {"all": groups, "any": groups, "not": {"$ref": "#/components/schemas/FlatFilter"}}
    schemas["FlatFilter"] = flat
    schemas["Filter"] = {**flat, "properties": {**attributes, **combined}}
    quota = schemas["Quotas"]["additionalProperties"]
    schemas["Quotas"] = {"type": "object", "properties": dict.fromkeys(FIELDS, quota), "additionalProperties": False}
    for name in ("RecommendationRequest", "BatchRequest", "PlacementDefinition"):
        properties = schemas[name]["properties"]
        properties["fields"] = {"type": "array", "items": {"enum": FIELDS}, "maxItems": 16}
        # The model of the test shop reads no sequences.
        properties.pop("generation", None)
    # A placement must name what is there. Rules and other kinds of sources want parameters of their own.
    schemas["PlacementDefinition"]["properties"].pop("rules")
    schemas["PlacementDefinition"]["properties"]["model"] = {"enum": [model, None]}
    source = schemas["CandidateSource"]
    source["additionalProperties"] = False
    kinds = source["properties"]["source"]
    kinds["enum"] = ["model", "buy_again", "popular"]
    schemas["RecommendationRequest"]["properties"]["sources"]["items"] = copy.deepcopy(source)
    # Alone in a request it has no answer here: the purchases of the test shop are not counted.
    kinds["enum"].append("bought_together")
    # Which attributes an article may have depends on the articles that are there.
    schemas["ArticleInput"]["properties"].pop("attributes")
    # JSON Schema cannot say which numbers fit 64 bits exactly, nor which characters a text may hold.
    schemas["CustomerInput"]["properties"].pop("attributes")
    schemas["ModelActivation"]["properties"]["version"] = {"type": "string", "enum": [version]}
    filters = ['{"bucket":"ten"}', '{"not":{"price":{"max":2}}}']
    known = {"fields": ["bucket", "price,bucket"], "filter": filters}
    for path, item in document["paths"].items():
        # Without its model the server could answer nothing that comes later.
        names = {"/models/": [model], "/deactivate": ["another"]}
        values = known | {"name": names[part] for part in names if part in path}
        for operation in item.values():
            for parameter in operation.get("parameters", []) if isinstance(operation, dict) else []:
                if parameter["name"] in values:
                    parameter["schema"] = {"type": "string", "enum": values[parameter["name"]]}
                    parameter.pop("example", None)
    # Their examples name other shops' attributes.
    # A bad event refuses only itself, so any value may stand there.
    schemas["EventBatch"]["properties"]["events"]["items"] = {}
    for schema in schemas.values():
        schema.pop("example", None)
    return document


@schemathesis.hook
def filter_case(context, case):
    """What no schema can say: the ends of a range are in order, numbers fit 32 bits, a body is within the server's limit,
    and no article has a value of another kind than the one that is declared."""
    declares = case.operation.path.endswith("/attributes/{name}")
    taken = declares and (case.path_parameters or {}).get("name") in [*FIELDS, "image_url"]
    large = isinstance(case.body, (dict, list)) and len(json.dumps(case.body)) > 1_000_000
    return not taken and not large and is_sayable(case.body)


def is_sayable(value):
    if isinstance(value, dict):
        low, high = value.get("min"), value.get("max")
        ordered = not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and low > high)
        return ordered and all(map(is_sayable, value.values()))
    if isinstance(value, list):
        return all(map(is_sayable, value))
    return not isinstance(value, (int, float)) or abs(value) < 3e38


def main():
    listener, source, url, key, model, version = sys.argv[1:]
    document = specialise(yaml.safe_load(pathlib.Path(source).read_text()), model, version)
    # With a wrong key every refusal would look right.
    probe = urllib.request.Request(url + ("/admin/v1/status" if listener == "admin" else "/v1/popular"))
    probe.add_header("Authorization", f"Bearer {key}")
    urllib.request.urlopen(probe, timeout=60).close()
    inside = "^/(admin/|metrics)"
    paths = "--include-path-regex" if listener == "admin" else "--exclude-path-regex"
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "openapi.json")
        copy.write_text(json.dumps(document, default=str))
        command = [pathlib.Path(sys.executable).with_name("schemathesis"), "run", copy, "--url", url]
        command += ["--header", f"Authorization: Bearer {key}", paths, inside, "--checks", "all"]
        command += ["--phases", "examples,coverage,fuzzing", "--max-examples", "25", "--seed", "1"]
        # Its own limit of 10 seconds would make a busy machine a failure.
        command += ["--generation-deterministic", "--request-timeout", "60", "--max-response-time", "60"]
        command += ["--suppress-health-check", "all", "--continue-on-failure", "--no-color"]
        # This file is also the module with the hook.
        hooks = {**os.environ, "SCHEMATHESIS_HOOKS": pathlib.Path(__file__).stem, "PYTHONPATH": str(HERE)}
        return subprocess.run(command, cwd=folder, env=hooks).returncode


if __name__ == "__main__":
    sys.exit(main())
