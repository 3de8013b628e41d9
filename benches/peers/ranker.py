"""LightGBM's LambdaMART on lists that `vitrine-trainer train --set ranker.write_lists=true` wrote."""

import argparse
import json
import pathlib
import time

import lightgbm
import numpy as np
import onnxruntime

K = 12
STEP, TREES = 25, 400


class Lists:
    def __init__(self, folder, name, features):
        read = lambda kind, dtype: np.fromfile(folder / f"{name}.{kind}", dtype)
        self.starts = read("starts", "<u8").astype(np.int64)
        self.rows = read("rows", "<f4").reshape(-1, features)
        self.bought = read("bought", "u1")
        self.relevant = read("relevant", "<u4")

    def metrics(self, scores):
        """recall@12 and NDCG@12, the mean over lists; what no source found counts as missed."""
        discounts = 1 / np.log2(np.arange(2, K + 2))
        found = []
        for start, end, relevant in zip(self.starts, self.starts[1:], self.relevant):
            best = np.argsort(-scores[start:end], kind="stable")[:K]
            hits = self.bought[start:end][best]
            ideal = discounts[: min(K, relevant)].sum()
            found.append((hits.sum() / relevant, (hits * discounts[: len(hits)]).sum() / ideal))
        return np.array(found)


def trees(bundle, rows):
    """The scores of a bundle's trees (docs/bundle-format.md)."""
    scores = np.zeros(len(rows), np.float32)
    for tree in json.loads((bundle / "trees.json").read_text())["trees"]:
        leaves = np.zeros(len(rows), np.int32)
        for bit, split in enumerate(tree["splits"]):
            leaves |= (rows[:, split["feature"]] > np.float32(split["above"])).astype(np.int32) << bit
        scores += np.array(tree["leaves"], np.float32)[leaves]
    return scores


def network(bundle, rows):
    """The scores of a bundle's network."""
    scaled = np.zeros_like(rows)
    for column, feature in enumerate(json.loads((bundle / "ranker.json").read_text())["features"]):
        quantiles = feature["quantiles"]
        if len(quantiles) > 1:
            place = np.interp(rows[:, column], quantiles, np.linspace(-1, 1, len(quantiles)))
            scaled[:, column] = (place - feature["mean"]) / feature["deviation"]
    session = onnxruntime.InferenceSession(bundle / "ranker.onnx")
    inputs = session.get_inputs()
    assert len(inputs) == 1, [i.name for i in inputs]
    parts = np.array_split(scaled, max(1, len(scaled) // 50_000))
    return np.concatenate([session.run(None, {inputs[0].name: part})[0].ravel() for part in parts])


def scores(bundle, rows):
    """What a server would say of the rows."""
    return (trees if (bundle / "trees.json").exists() else network)(bundle, rows)


def learn(seed, train, validation, threads):
    """LightGBM's LambdaMART with the number of trees that ranks the validation lists best, and that number."""
    settings = {
        "objective": "lambdarank", "learning_rate": 0.08, "num_leaves": 31, "min_data_in_leaf": 200,
        "feature_fraction": 0.5, "bagging_fraction": 0.7, "bagging_freq": 1, "max_bin": 127,
        "lambdarank_truncation_level": 30, "num_threads": threads, "verbosity": -1, "metric": "none", "seed": seed,
    }
    data = lightgbm.Dataset(train.rows, train.bought, group=np.diff(train.starts), params=settings)
    model = lightgbm.Booster(settings, data)
    best = (0.0, 0)
    for tree in range(1, TREES + 1):
        model.update()
        if tree % STEP == 0:
            ndcg = validation.metrics(model.predict(validation.rows))[:, 1].mean()
            best = max(best, (ndcg, tree))
            if tree - best[1] >= 3 * STEP:
                break
    return model, best[1]


def interval(values):
    """Half a 95 % interval of the mean, by the bootstrap."""
    rng = np.random.default_rng(1)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(1000)]
    return (np.quantile(means, 0.975) - np.quantile(means, 0.025)) / 2


def show(name, validation, test, note=""):
    row = "".join(f"{test[:, m].mean():>12.4f} ±{interval(test[:, m]):.4f}" for m in (0, 1))
    print(f"{name:16}{validation[:, 1].mean():>18.4f}{row}   {note}", flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--run", nargs=3, action="append", required=True, metavar=("SEED", "LISTS", "BUNDLE"))
    arguments.add_argument("--threads", type=int, default=0)
    arguments = arguments.parse_args()
    print(f"{'':16}{'validation ndcg@12':>18}{'recall@12':>20}{'ndcg@12':>20}")
    found = {"LightGBM": [], "Vitrine": []}
    for seed, folder, bundle in arguments.run:
        folder, bundle = pathlib.Path(folder), pathlib.Path(bundle)
        names = json.loads((folder / "features.json").read_text())
        train, validation, test = (Lists(folder, name, len(names)) for name in ("train", "validation", "test"))
        started = time.time()
        model, best = learn(int(seed), train, validation, arguments.threads)
        seconds = time.time() - started
        both = [lists.metrics(model.predict(lists.rows, num_iteration=best)) for lists in (validation, test)]
        show(f"LightGBM, {seed}", *both, f"{best} trees, {seconds:.0f} s with validation")
        found["LightGBM"].append(both)
        both = [lists.metrics(scores(bundle, lists.rows)) for lists in (validation, test)]
        epochs = [json.loads(line) for line in (folder.parent / "metrics.jsonl").read_text().splitlines()]
        seconds = sum(epoch["seconds"] for epoch in epochs)
        show(f"Vitrine, {seed}", *both, f"{len(epochs)} epochs, {seconds:.0f} s with validation")
        found["Vitrine"].append(both)
    # Each customer's mean over the seeds.
    means = {name: [np.mean(of_seeds, axis=0) for of_seeds in zip(*both)] for name, both in found.items()}
    for name, both in means.items():
        show(f"{name}, mean", *both)
    for at, window in enumerate(("validation", "test")):
        difference = means["Vitrine"][at] - means["LightGBM"][at]
        for m, metric in enumerate(("recall@12", "ndcg@12")):
            share = difference[:, m].mean() / means["LightGBM"][at][:, m].mean()
            by, wide = difference[:, m].mean(), interval(difference[:, m])
            print(f"difference in {metric} of {window}: {by:+.4f} ±{wide:.4f} ({share:+.1%})")


if __name__ == "__main__":
    main()
