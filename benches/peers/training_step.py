"""One two-tower training step: Vitrine beside PyTorch with sparse embeddings (SparseAdam) on the CPU.

Both sides take turns on the same machine in one run; the median of the rounds is printed with its ratio.
"""

import argparse
import statistics
import subprocess
import time

import torch
import torch.nn.functional as F
from torch import nn

SIZES = {
    # name: customers, articles, embedding width, hidden width, vector length, wanted ratio
    "a": (23_838, 56_690, 16, 16, 16, 2.0),
    "b": (1_371_980, 105_542, 64, 128, 64, 1.5),
}
GROUPS = (21, 10)
BATCH = 2_048
BATCHES = 16


class PyTorch:
    def __init__(self, customers, articles, width, hidden, dim):
        torch.manual_seed(1)
        self.customers = nn.Embedding(customers + 1, width, sparse=True)
        self.articles = nn.Embedding(articles + 1, width, sparse=True)
        self.query = nn.Sequential(nn.Linear(width + 3, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        self.item = nn.Sequential(nn.Linear(width + sum(GROUPS), hidden), nn.ReLU(), nn.Linear(hidden, dim))
        rows = [*self.customers.parameters(), *self.articles.parameters()]
        dense = [*self.query.parameters(), *self.item.parameters()]
        self.optimizers = [torch.optim.SparseAdam(rows, lr=0.01), torch.optim.Adam(dense, lr=0.01)]
        self.labels = torch.arange(BATCH)
        self.batches = [self.draw(customers, articles) for _ in range(BATCHES)]
        self.taken = 0

    @staticmethod
    def draw(customers, articles):
        article = torch.randint(articles, (BATCH,))
        groups = torch.cat([F.one_hot(article % width, width) for width in GROUPS], 1).float()
        return torch.randint(customers, (BATCH,)), torch.rand(BATCH, 3), article, groups

    def step(self):
        customer, numbers, article, groups = self.batches[self.taken % BATCHES]
        self.taken += 1
        u = self.query(torch.cat([self.customers(customer), numbers], 1))
        v = self.item(torch.cat([self.articles(article), groups], 1))
        loss = F.cross_entropy(u @ v.T, self.labels)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()

    def milliseconds(self, steps):
        started = time.perf_counter()
        for _ in range(steps):
            self.step()
        return (time.perf_counter() - started) * 1e3 / steps


class Vitrine:
    def __init__(self, binary, size, threads):
        arguments = [binary, *map(str, size), str(BATCH), str(threads)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().strip() == "ready"

    def milliseconds(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20, help="steps a round and side")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"PyTorch {torch.__version__}, {arguments.threads} threads, batch {BATCH}, median of {arguments.rounds} rounds")
    print(f"{'size':6}{'PyTorch ms':>12}{'Vitrine ms':>12}{'ratio':>8}{'wanted':>8}")
    for name, (*size, wanted) in SIZES.items():
        sides = PyTorch(*size), Vitrine(arguments.binary, size, arguments.threads)
        for side in sides:
            side.milliseconds(5)
        rounds = [[side.milliseconds(arguments.steps) for side in sides] for _ in range(arguments.rounds)]
        pytorch, vitrine = (statistics.median(column) for column in zip(*rounds))
        ratio = statistics.median(p / v for p, v in rounds)
        print(f"{name:6}{pytorch:12.2f}{vitrine:12.2f}{ratio:8.2f}{wanted:8.1f}", flush=True)


if __name__ == "__main__":
    main()
