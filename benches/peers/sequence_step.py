"""One training step of a sequence model: Vitrine beside plain PyTorch on the CPU.

The step is whole: embedding gather, encoder, softmax loss, backward pass, Adam. PyTorch pads to the longest history as
its users do and computes the loss at real positions only; Vitrine packs. Both sides take turns on the same batches in one
run; the median of the rounds is printed with its ratio. Optimisers: Vitrine steps the rows a batch touched, PyTorch has
SparseAdam for the tables (dense Adam for the full softmax, whose gradient is dense) and Adam for the rest.
"""

import argparse
import statistics
import struct
import subprocess
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

BATCHES = 8
# History lengths of Amazon Beauty (22,363 customers, at most 50 kept, mean 8.7): every twentieth of the sorted list.
BEAUTY = [5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 8, 8, 9, 10, 12, 14, 21, 50]
DECODER = dict(items=12_101, negatives=1_024, batch=128, length=50)
LSTM = dict(items=5_850, negatives=0, batch=512, length=5)
CASES = {
    # name: encoder, sizes, lengths
    "decoder, full": ("decoder", DECODER, lambda rng, n: np.full(n, 50)),
    "decoder, Beauty": ("decoder", DECODER, lambda rng, n: np.interp(rng.random(n) * 20, range(21), BEAUTY).astype(int)),
    "lstm, full": ("lstm", LSTM, lambda rng, n: np.full(n, 5)),
    # Windows of at most 5 of customers with more than 2 items; most rent few.
    "lstm, rentals": ("lstm", LSTM, lambda rng, n: rng.choice([2, 3, 4, 5], n, p=[0.4, 0.2, 0.1, 0.3])),
}
DAYS = 101


def draw(sizes, lengths):
    """Batches of (lengths, items, days, targets, negatives), packed."""
    rng = np.random.default_rng(1)
    for _ in range(BATCHES):
        length = lengths(rng, sizes["batch"])
        ids = lambda n: rng.integers(sizes["items"], size=n)
        total = length.sum()
        yield length, ids(total), rng.integers(DAYS, size=total), ids(total), ids(sizes["negatives"])


class Decoder(nn.Module):
    """2 layers, width 64, 2 heads, feed-forward 256, learned positions, dropout 0.2."""

    width = 64

    def __init__(self, length):
        super().__init__()
        self.positions = nn.Embedding(length, self.width)
        layer = lambda: nn.TransformerEncoderLayer(
            self.width, 2, 256, dropout=0.2, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.ModuleList(layer() for _ in range(2))
        self.norm = nn.LayerNorm(self.width)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x):
        length = x.shape[1]
        x = self.dropout(x + self.positions.weight[:length])
        mask = torch.triu(torch.full((length, length), float("-inf")), 1)
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=True)
        return self.norm(x)


class Lstm(nn.Module):
    """System L: BatchNorm, LSTM 1024, BatchNorm, LSTM 512, BatchNorm, causal attention without scale."""

    width = 512

    def __init__(self, _):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm1d(n, eps=1e-3, momentum=0.01) for n in (120, 1024, 512))
        self.lstms = nn.ModuleList([nn.LSTM(120, 1024, batch_first=True), nn.LSTM(1024, 512, batch_first=True)])

    def forward(self, x):
        for norm, lstm in zip(self.norms, self.lstms):
            x = lstm(norm(x.transpose(1, 2)).transpose(1, 2))[0]
        x = self.norms[2](x.transpose(1, 2)).transpose(1, 2)
        return F.scaled_dot_product_attention(x, x, x, is_causal=True, scale=1.0)


class PyTorch:
    def __init__(self, kind, sizes, batches):
        torch.manual_seed(1)
        self.kind = kind
        self.net = Decoder(sizes["length"]) if kind == "decoder" else Lstm(None)
        sampled = sizes["negatives"] > 0
        width = 64 if kind == "decoder" else 100
        self.items = nn.Embedding(sizes["items"] + 1, width, sparse=True)
        sparse, dense = list(self.items.parameters()), list(self.net.parameters())
        if sampled:
            self.out = nn.Embedding(sizes["items"] + 1, self.net.width, sparse=True)
            sparse += self.out.parameters()
        else:
            self.days = nn.Embedding(DAYS + 1, 20)
            self.head = nn.Linear(self.net.width, sizes["items"])
            dense += [*self.days.parameters(), *self.head.parameters()]
        self.optimizers = [torch.optim.SparseAdam(sparse, lr=1e-3), torch.optim.Adam(dense, lr=1e-3)]
        self.batches = [self.padded(*batch) for batch in batches]
        self.taken = 0

    @staticmethod
    def padded(lengths, items, days, targets, negatives):
        real = torch.arange(int(lengths.max()))[None] < torch.tensor(lengths)[:, None]

        def pad(values):
            out = torch.zeros(real.shape, dtype=torch.long)
            out[real] = torch.tensor(values)
            return out

        return pad(items), pad(days), real, torch.tensor(targets), torch.tensor(negatives)

    def step(self):
        items, days, real, targets, negatives = self.batches[self.taken % BATCHES]
        self.taken += 1
        x = self.items(items)
        if self.kind == "lstm":
            x = torch.cat([x, self.days(days)], 2)
        h = self.net(x)[real]
        if len(negatives):
            positive = (h * self.out(targets)).sum(1, keepdim=True)
            logits = torch.cat([positive, h @ self.out(negatives).T], 1)
            loss = F.cross_entropy(logits, torch.zeros(len(h), dtype=torch.long))
        else:
            loss = F.cross_entropy(self.head(h), targets)
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
    def __init__(self, binary, kind, sizes, batches, threads):
        self.file = tempfile.NamedTemporaryFile(suffix=".batches")
        for lengths, *columns in batches:
            for column in (lengths, *columns):
                self.file.write(struct.pack("<I", len(column)) + np.asarray(column, "<u4").tobytes())
        self.file.flush()
        arguments = [binary, kind, str(sizes["items"]), str(sizes["length"]), self.file.name, str(threads)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().strip() == "ready"

    def milliseconds(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="aimed at for a round of one side")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--case", help="only the cases whose name starts so")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"PyTorch {torch.__version__}, {arguments.threads} threads, median of {arguments.rounds} rounds")
    print(f"{'case':18}{'tokens':>8}{'PyTorch ms':>12}{'Vitrine ms':>12}{'ratio':>8}")
    for name, (kind, sizes, lengths) in CASES.items():
        if arguments.case and not name.startswith(arguments.case):
            continue
        batches = list(draw(sizes, lengths))
        tokens = sum(len(batch[1]) for batch in batches) / BATCHES
        sides = PyTorch(kind, sizes, batches), Vitrine(arguments.binary, kind, sizes, batches, arguments.threads)
        steps = [max(1, int(arguments.seconds * 1e3 / side.milliseconds(2))) for side in sides]
        rounds = [[side.milliseconds(n) for side, n in zip(sides, steps)] for _ in range(arguments.rounds)]
        pytorch, vitrine = (statistics.median(column) for column in zip(*rounds))
        ratio = statistics.median(p / v for p, v in rounds)
        print(f"{name:18}{tokens:8.0f}{pytorch:12.2f}{vitrine:12.2f}{ratio:8.2f}", flush=True)


if __name__ == "__main__":
    main()
