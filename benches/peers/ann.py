"""Nearest-neighbour search side by side with public peers: same vectors, same run, one thread.

Items lie around 200 centres, as learned item embeddings do: 105,542 x 64, unit vectors, 1,000 queries, k = 100.
Every graph is asked with rising beam widths until its recall@100 reaches the floor; then all contenders take turns,
round after round, and the medians are compared. `ann.sh` prepares the environment and runs this.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import hnswlib
import numpy as np
from usearch.index import Index as Usearch

ITEMS, DIM, QUERIES, K, FLOOR = 105_542, 64, 1_000, 100, 0.997
M, EF_CONSTRUCTION = 16, 128
WIDTHS = (100, 105, 110, 120, 130, 140, 150, 160, 180, 200, 220, 250, 300, 350, 400, 500, 600)


def vectors(seed: int):
    rng = np.random.default_rng(seed)
    centres = rng.random((200, DIM)) - 0.5

    def draw(count):
        rows = centres[rng.integers(0, 200, count)] + 0.6 * (rng.random((count, DIM)) - 0.5)
        return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)

    return draw(ITEMS), draw(QUERIES)


class Vitrine:
    """The engine in its own process, driven over a pipe."""

    def __init__(self, binary, work, items, queries):
        data, self.result = work / "ann.bin", work / "ann-result.bin"
        with open(data, "wb") as file:
            np.array([len(items), DIM, len(queries)], np.uint32).tofile(file)
            items.tofile(file)
            queries.tofile(file)
        self.process = subprocess.Popen(
            [binary, data, self.result, str(M), str(EF_CONSTRUCTION)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit("the engine did not start")

    def run(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        micros = float(self.process.stdout.readline())
        return np.fromfile(self.result, np.uint32).reshape(QUERIES, K), micros


def timed(search, queries):
    """One query a call, as a server asks."""
    started = time.perf_counter()
    found = [search(queries[i : i + 1]) for i in range(len(queries))]
    return np.vstack(found), (time.perf_counter() - started) * 1e6 / len(queries)


def recall(found, truth):
    return np.mean([len(np.intersect1d(a, b)) for a, b in zip(found, truth)]) / K


def peers(items, queries, cores):
    """name -> (kind, beam width -> (ids, microseconds))"""
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(DIM)
    flat.add(items)
    yield "faiss IndexFlatIP", "exact", lambda _: timed(lambda q: flat.search(q, K)[1], queries)

    hnsw = hnswlib.Index(space="ip", dim=DIM)
    hnsw.init_index(max_elements=len(items), M=M, ef_construction=EF_CONSTRUCTION, random_seed=1)
    hnsw.set_num_threads(cores)
    hnsw.add_items(items)
    hnsw.set_num_threads(1)

    def hnswlib_search(ef):
        hnsw.set_ef(ef)
        return timed(lambda q: hnsw.knn_query(q, K, num_threads=1)[0], queries)

    yield "hnswlib", "graph", hnswlib_search

    faiss.omp_set_num_threads(cores)
    graph = faiss.IndexHNSWFlat(DIM, M, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = EF_CONSTRUCTION
    graph.add(items)
    faiss.omp_set_num_threads(1)

    def faiss_search(ef):
        graph.hnsw.efSearch = ef
        return timed(lambda q: graph.search(q, K)[1], queries)

    yield "faiss HNSW", "graph", faiss_search

    use = Usearch(ndim=DIM, metric="ip", dtype="f32", connectivity=M, expansion_add=EF_CONSTRUCTION)
    use.add(np.arange(len(items)), items, threads=cores)

    def usearch_search(ef):
        use.expansion_search = ef
        return timed(lambda q: use.search(q[0], K, threads=1).keys, queries)

    yield "usearch", "graph", usearch_search


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)

    items, queries = vectors(options.seed)
    ours = Vitrine(options.binary, options.work, items, queries)
    contenders = [
        ("vitrine scan", "exact", lambda _: ours.run(f"scan {K}")),
        ("vitrine graph", "graph", lambda ef: ours.run(f"graph {ef} {K}")),
        *peers(items, queries, os.cpu_count()),
    ]
    flat = faiss.IndexFlatIP(DIM)
    flat.add(items)
    truth = flat.search(queries, K)[1]

    chosen = []
    for name, kind, search in contenders:
        for ef in WIDTHS if kind == "graph" else (0,):
            found, _ = search(ef)
            reached = recall(found, truth)
            if kind == "exact" or reached >= FLOOR:
                break
        chosen.append((name, kind, search, ef, reached))

    times = {name: [] for name, *_ in chosen}
    for _ in range(options.rounds):
        for name, _, search, ef, _ in chosen:
            times[name].append(search(ef)[1])

    median = {name: statistics.median(times[name]) for name in times}
    base = {"exact": median["faiss IndexFlatIP"], "graph": median["hnswlib"]}
    print(f"\n{ITEMS:,} x {DIM}, k = {K}, {QUERIES:,} queries, one thread, median of {options.rounds} rounds")
    print(f"graphs: M = {M}, ef_construction = {EF_CONSTRUCTION}, each at its first beam width with recall >= {FLOOR}\n")
    print("| engine | kind | ef | recall@100 | us/query | times as fast as hnswlib / IndexFlatIP |")
    print("|---|---|---:|---:|---:|---:|")
    for name, kind, _, ef, reached in sorted(chosen, key=lambda c: (c[1], median[c[0]])):
        ratio = base[kind] / median[name]
        print(f"| {name} | {kind} | {ef or '-'} | {reached:.4f} | {median[name]:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
