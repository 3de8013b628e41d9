#!/usr/bin/env bash
# Checks deploy/kubernetes against the published schemas of Kubernetes, strictly: unknown fields are errors.
#   ./scripts/kubernetes.sh [VERSION…]        default: the oldest and the newest version that we support
# Makes a virtual environment under target/ with the validator of deploy/kubernetes/requirements.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=deploy/kubernetes
environment=${CARGO_TARGET_DIR:-target}/kubernetes-venv
versions=("$@")
[ "${#versions[@]}" -gt 0 ] || versions=(1.31 1.37)

if ! cmp -s "$folder/requirements.txt" "$environment/requirements.txt"; then
    python3 -m venv --clear "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check -r "$folder/requirements.txt"
    cp "$folder/requirements.txt" "$environment/"
fi

# Every manifest is part of the kustomization, and nothing else is.
"$environment/bin/python" - "$folder" <<'PYTHON'
import pathlib, sys, yaml
folder = pathlib.Path(sys.argv[1])
listed = set(yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"])
there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
if listed != there:
    sys.exit(f"kustomization.yaml: not listed: {sorted(there - listed)}; missing: {sorted(listed - there)}")
PYTHON

for version in "${versions[@]}"; do
    for manifest in "$folder"/*.yaml; do
        [ "$(basename "$manifest")" = kustomization.yaml ] ||
            "$environment/bin/kubernetes-validate" --strict --quiet --kubernetes-version "$version" "$manifest"
    done
    echo "Kubernetes $version: all manifests are valid"
done
