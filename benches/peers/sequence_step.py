"""One training step of a sequence model: Vitrine's trainer beside plain PyTorch on the CPU.

Vitrine reads a shop's purchases and a training configuration as `vitrine-trainer train` does, makes its batches, and takes
the trainer's own steps; PyTorch takes steps on the same batches, with the same model, loss and number of negatives. A step
is whole: embedding gather, encoder, softmax loss, backward pass, Adam. PyTorch pads to the longest history of the batch, as
its users do, and computes the loss at real positions only; Vitrine packs. Both take turns in one run; the median of the
rounds is printed with the median ratio. PyTorch runs each case with sparse and with dense gradients of its tables, and the
faster of the two counts.
"""

import argparse
import pathlib
import statistics
import subprocess
import tempfile
import time
import tomllib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

CONFIGS = pathlib.Path(__file__).parents[2] / "models" / "configs"
# History lengths of Amazon Beauty (22,363 customers, mean 8.9): every twentieth of the sorted list. The last two purchases
# are held out.
BEAUTY = [5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 8, 8, 9, 10, 12, 14, 21, 52]
DRAWN = {"sequence.negatives": 256, "loss.uniform_negatives": 0}
beauty = lambda rng, n: np.interp(rng.random(n) * 20, range(21), BEAUTY)
# Windows of at most 5 of customers with more than 2 items; most rent few.
rentals = lambda rng, n: rng.choice([4, 5, 6, 7], n, p=[0.4, 0.2, 0.1, 0.3])
CASES = {
    # name: configuration, changes to it, articles, customers, their purchases
    "decoder, Beauty": ("decoder-modern", {}, 12_101, 4_000, beauty),
    "decoder, drawn": ("decoder-modern", DRAWN, 12_101, 4_000, beauty),
    "decoder, full": ("decoder-modern", DRAWN, 12_101, 1_000, lambda rng, n: np.full(n, 53)),
    "lstm, rentals": ("lstm", {}, 5_850, 4_000, rentals),
    "lstm, full": ("lstm", {}, 5_850, 1_000, lambda rng, n: np.full(n, 8)),
}


def configuration(name, changes):
    config = tomllib.loads((CONFIGS / f"{name}.toml").read_text())
    for key, value in changes.items():
        section, key = key.split(".")
        config[section][key] = value
    return config


def shop(folder, articles, customers, purchases):
    """Writes a shop: every article and customer, and purchases on days of two years."""
    rng = np.random.default_rng(1)
    lines = ["customer,article,day"]
    # Every article once, so that the catalogue is of the size wanted; one customer each, who are too few to train on.
    lines += [f"c{article},a{article},2020-01-01" for article in range(articles)]
    for customer, count in enumerate(purchases(rng, customers).astype(int)):
        days = np.sort(rng.choice(730, count, replace=False))
        bought = rng.integers(articles, size=count)
        date = np.datetime64("2020-01-01")
        lines += [f"d{customer},a{article},{date + int(day)}" for article, day in zip(bought, days)]
    (folder / "purchases.csv").write_text("\n".join(lines) + "\n")
    (folder / "dataset.toml").write_text(
        '[purchases]\nfiles = ["purchases.csv"]\ncustomer = "customer"\narticle = "article"\ntime = "day"\n'
    )


class Batch:
    """What Vitrine learns from in one step, padded."""

    def __init__(self, numbers):
        column = lambda: np.asarray([next(numbers) for _ in range(next(numbers))], dtype=np.int64)
        lengths, items, ages, targets, negatives, columns, bias = (column() for _ in range(7))
        self.tokens = len(items)
        self.real = torch.arange(int(lengths.max()))[None] < torch.tensor(lengths)[:, None]
        self.items, self.targets = self.pad(items), torch.tensor(targets)
        self.ages = self.pad(ages) if len(ages) else None
        self.negatives = torch.tensor(negatives).reshape(len(lengths), -1) if len(negatives) else None
        self.columns = torch.tensor(columns)
        self.bias = torch.tensor(bias.astype(np.uint32).view(np.float32))
        # How many tokens follow each.
        self.following = (torch.tensor(lengths)[:, None] - 1 - torch.arange(self.real.shape[1])).clamp(min=0)

    def pad(self, values):
        out = torch.zeros(self.real.shape, dtype=torch.long)
        out[self.real] = torch.tensor(values)
        return out

    @staticmethod
    def read(path):
        numbers = iter(np.fromfile(path, "<u4").astype(np.int64).tolist())
        batches = []
        try:
            while True:
                batches.append(Batch(numbers))
        except (RuntimeError, StopIteration):
            return batches


class Block(nn.Module):
    """A pre-norm block, gated where the configuration says so."""

    def __init__(self, width, config):
        super().__init__()
        self.heads, self.rotary = config["heads"], config["positions"] == "rotary"
        self.swiglu, self.gated = config["activation"] == "swiglu", config.get("gated", False)
        hidden = config["feed_forward"]
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner = nn.Linear(width, hidden * (2 if self.swiglu else 1))
        self.outer = nn.Linear(hidden, width)
        if self.gated:
            self.gates = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.dropout = nn.Dropout(config["dropout"])

    def rotate(self, x):
        half = x.shape[-1] // 2
        angles = torch.arange(x.shape[2])[:, None] / 10_000 ** (torch.arange(half) / half)
        cos, sin, a, b = angles.cos(), angles.sin(), x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)

    def forward(self, x):
        size, length, width = x.shape
        parts = self.qkv(self.norms[0](x)).view(size, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        if self.rotary:
            q, k = self.rotate(q), self.rotate(k)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(x.shape)
        y = self.dropout(self.output(y))
        x = x + (torch.sigmoid(self.gates[0](x)) * y if self.gated else y)
        y = self.inner(self.norms[1](x))
        if self.swiglu:
            a, b = y.chunk(2, -1)
            y = F.silu(a) * b
        else:
            y = F.gelu(y)
        y = self.dropout(self.outer(y))
        return x + (torch.sigmoid(self.gates[1](x)) * y if self.gated else y)


class Decoder(nn.Module):
    def __init__(self, width, length, config):
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, config) for _ in range(config["layers"]))
        self.norm = nn.LayerNorm(width) if config.get("final_norm", True) else nn.Identity()
        self.dropout = nn.Dropout(config["dropout"])
        self.from_end = config["positions"] == "learned-from-end"
        if self.from_end:
            self.positions = nn.Embedding(length, width)

    def forward(self, x, following):
        x = self.dropout(x + self.positions(following) if self.from_end else x)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Lstm(nn.Module):
    """BatchNorm, LSTM, BatchNorm, LSTM, BatchNorm, causal attention without scale."""

    def __init__(self, width, config):
        super().__init__()
        widths = [width, *config["hidden"]]
        self.norms = nn.ModuleList(nn.BatchNorm1d(n, eps=1e-3, momentum=0.01) for n in widths)
        self.lstms = nn.ModuleList(nn.LSTM(a, b, batch_first=True) for a, b in zip(widths, widths[1:]))

    def forward(self, x, _):
        for norm, lstm in zip(self.norms, self.lstms):
            x = lstm(norm(x.transpose(1, 2)).transpose(1, 2))[0]
        x = self.norms[-1](x.transpose(1, 2)).transpose(1, 2)
        return F.scaled_dot_product_attention(x, x, x, is_causal=True, scale=1.0)


class PyTorch:
    def __init__(self, config, articles, batches, sparse):
        torch.manual_seed(1)
        sequence, width = config["sequence"], config["model"]["dim"]
        self.batches, self.taken = batches, 0
        self.tied = sequence["tied"]
        days = sequence.get("days")
        item_dim = width if self.tied else sequence["item_dim"]
        self.items = nn.Embedding(articles + 1, item_dim, sparse=sparse)
        tables = list(self.items.parameters())
        self.days = nn.Embedding(days["buckets"] + 1, days["dim"]) if days else None
        if "decoder" in config:
            self.net = Decoder(width, sequence["length"], config["decoder"])
        else:
            self.net = Lstm(item_dim + days["dim"], config["lstm"])
        dense = list(self.net.parameters())
        if days:
            dense += self.days.parameters()
        if not self.tied:
            self.head = nn.Linear(width, articles)
            dense += self.head.parameters()
        rate = config["optimizer"]["learning_rate"]
        self.optimizers = [torch.optim.Adam(dense + ([] if sparse else tables), lr=rate)]
        if sparse:
            self.optimizers.append(torch.optim.SparseAdam(tables, lr=rate))

    def step(self):
        batch = self.batches[self.taken % len(self.batches)]
        self.taken += 1
        x = self.items(batch.items)
        if self.days:
            x = torch.cat([x, self.days(batch.ages)], 2)
        padded = self.net(x, batch.following)
        h = padded[batch.real]
        if batch.negatives is not None:
            own = (h * self.items(batch.targets)).sum(1, keepdim=True)
            others = torch.bmm(padded, self.items(batch.negatives).transpose(1, 2))[batch.real]
            logits = torch.cat([own, others], 1)
            loss = F.cross_entropy(logits, torch.zeros(len(h), dtype=torch.long))
        elif self.tied:
            loss = F.cross_entropy(h @ self.items(batch.columns).T + batch.bias, batch.targets)
        else:
            # All items are columns, in the order of their rows.
            loss = F.cross_entropy(self.head(h), batch.targets)
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
    def __init__(self, binary, config, changes, folder, threads):
        self.file = folder / "batches"
        arguments = [binary, CONFIGS / f"{config}.toml", folder, str(threads), self.file]
        arguments += [f"{key}={value}" for key, value in changes.items()]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().strip() == "ready", "Vitrine's side did not start"

    def milliseconds(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


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
    for name, (config_name, changes, articles, customers, purchases) in CASES.items():
        if arguments.case and not name.startswith(arguments.case):
            continue
        config = configuration(config_name, changes)
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            shop(folder, articles, customers, purchases)
            vitrine = Vitrine(arguments.binary, config_name, changes, folder, arguments.threads)
            batches = Batch.read(vitrine.file)
            tokens = statistics.mean(batch.tokens for batch in batches)
            peers = [PyTorch(config, articles, batches, sparse) for sparse in (False, True)]
            peer = min(peers, key=lambda peer: (peer.milliseconds(1), peer.milliseconds(2))[1])
            sides = peer, vitrine
            steps = [max(1, int(arguments.seconds * 1e3 / side.milliseconds(2))) for side in sides]
            rounds = [[side.milliseconds(n) for side, n in zip(sides, steps)] for _ in range(arguments.rounds)]
            vitrine.end()
        pytorch, ours = (statistics.median(column) for column in zip(*rounds))
        ratio = statistics.median(p / v for p, v in rounds)
        print(f"{name:18}{tokens:8.0f}{pytorch:12.2f}{ours:12.2f}{ratio:8.2f}", flush=True)


if __name__ == "__main__":
    main()
