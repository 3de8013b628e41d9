#!/usr/bin/env python3
"""Attacks a server through its bundles and its database, on loopback only.

    scripts/attack_bundles.py [--bin target/release] [--only NAME ...]

Makes a small shop, trains a model and starts servers over SQLite and over a throw-away Postgres.
Each attack prints what happened. The script fails when a server did not hold. Needs the three
programs in --bin, Postgres on this machine, and nothing but Python's own library.
"""

import argparse
import concurrent.futures
import contextlib
import glob
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

KEY = "attack-attack-attack"
CUSTOMERS = 2_000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, method, path, body=None, key=None, timeout=30):
    """Status and JSON of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    headers = {"content-type": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, {}


def resident_mb(process):
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) // 1024


def children(process):
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


class Server:
    def __init__(self, shop, url, **settings):
        self.public, self.admin = free_port(), free_port()
        environment = dict(os.environ, VITRINE__DATABASE__URL=url, VITRINE__ADMIN__KEY=KEY)
        for name, value in settings.items():
            environment["VITRINE__" + name.upper()] = str(value)
        self.log = open(shop.home / "server.log", "ab")
        listen = ["--listen", f"127.0.0.1:{self.public}", "--admin-listen", f"127.0.0.1:{self.admin}"]
        command = [shop.program("server"), "serve", "--models", str(shop.models), *listen]
        self.process = subprocess.Popen(command, env=environment, stderr=self.log, cwd=shop.home)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()

    def wait(self, ready=lambda status, body: status == 200, longest=60):
        end = time.monotonic() + longest
        while time.monotonic() < end:
            try:
                last = ask(self.public, "GET", "/readyz")
                if ready(*last):
                    return last[1]
            except OSError as error:
                last = error
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}")
            time.sleep(0.05)
        raise AssertionError(f"the server did not come to be ready: {last}")

    def recommend(self, **body):
        return ask(self.public, "POST", "/v1/recommendations", body)

    def operate(self, method, path, body=None, timeout=150):
        return ask(self.admin, method, path, body, KEY, timeout)

    def stop(self):
        """Seconds from SIGTERM to the end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(90)
        return time.monotonic() - began


class Shop:
    """A generated shop with two versions of one model."""

    def __init__(self, home, programs):
        self.home, self.programs = home, programs
        self.models, self.data = home / "models", home / "data"
        size = ["--articles", "400", "--customers", str(CUSTOMERS), "--transactions", "30000", "--days", "60"]
        self.run("trainer", "generate", "--out", str(self.data), *size)
        config = pathlib.Path(__file__).resolve().parent.parent / "models/configs/retrieval.toml"
        for seed in "12":
            settings = ["--set", "training.epochs=1", "--set", f"training.seed={seed}"]
            self.run("trainer", "train", "--data", str(self.data), "--config", str(config), "--out", str(self.models), *settings)
        self.versions = sorted(path.parent.name for path in self.models.glob("retrieval/*/manifest.json"))
        customers = (self.data / "customers.csv").read_text().splitlines()
        column = customers[0].split(",").index("customer_id")
        self.customers = [line.split(",")[column] for line in customers[1:]]

    def program(self, name):
        return str(self.programs / f"vitrine-{name}")

    def run(self, program, *arguments, good=True):
        command = [self.program(program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.home)
        if good and done.returncode:
            raise AssertionError(f"{command}: {done.stderr}")
        return done

    def database(self, url):
        self.run("server", "migrate", "--database", url)
        self.run("server", "import", "--data", str(self.data), "--database", url)
        for version in self.versions:
            self.command(url, "activate", "retrieval", version)
        return url

    def command(self, url, *arguments, good=True):
        return self.run("server", "models", "--database", url, "--models", str(self.models), *arguments, good=good)


class Postgres:
    def __init__(self, home):
        self.bin = pathlib.Path(sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1])
        self.data, self.port = home / "pg", free_port()
        self.data.mkdir()
        home.chmod(0o755)
        if os.getuid() == 0:
            shutil.chown(self.data, "postgres")
        self.run("initdb", "-D", self.data, "-A", "trust", "-U", "vitrine")
        self.start()
        self.url = f"postgres://vitrine@127.0.0.1:{self.port}/postgres"

    def run(self, program, *arguments):
        user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        command = [*user, str(self.bin / program), *map(str, arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/tmp")

    def start(self):
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.data}"
        self.run("pg_ctl", "-D", self.data, "-l", self.data / "log", "-w", "-o", options, "start")

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def execute(self, statement):
        self.run("psql", "-h", "127.0.0.1", "-p", self.port, "-U", "vitrine", "-d", "postgres", "-c", statement)


# A few fields of ONNX's protobuf, by hand.


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def node(kind, inputs, output):
    names = b"".join(field(1, name) for name in inputs)
    return field(1, names + field(2, output) + field(3, output) + field(4, kind))


def zeros(name, rows, columns):
    content = field(1, rows) + field(1, columns) + field(2, 1) + field(8, name)
    return field(5, content + field(9, bytes(4 * rows * columns)))


def craft(shop, size, products):
    """A copy of a version whose item tower adds the sum of a `size` × `size` matrix of zeros,
    multiplied by itself so many times, to a bias: right in every checksum."""
    whole = shop.models / "retrieval" / shop.versions[0]
    copy = shop.models / "retrieval" / ".crafted"
    shutil.copytree(whole, copy)
    tower = copy / "item_tower.onnx"
    graph = zeros(b"tall", size, 1) + zeros(b"wide", 1, size) + node(b"Add", [b"tall", b"wide"], b"square0")
    for n in range(products):
        square = b"square%d" % n
        graph += node(b"MatMul", [square, square], b"square%d" % (n + 1))
    graph += node(b"ReduceSum", [b"square%d" % products], b"sum")
    graph += node(b"Add", [b"layer_0_bias", b"sum"], b"layer_0_bia2")
    # Who read the bias reads the sum. What is appended to a message is merged into it.
    content = tower.read_bytes().replace(b"\x0a\x0clayer_0_bias", b"\x0a\x0clayer_0_bia2")
    tower.write_bytes(content + field(7, graph))
    manifest = json.loads((copy / "manifest.json").read_text())
    content = tower.read_bytes()
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["files"]["item_tower.onnx"] = entry
    blank = f"20260101T{size:09}Z-00000000"
    manifest["version"] = blank
    text = json.dumps(manifest).encode()
    version = blank[:-8] + hashlib.sha256(text).hexdigest()[:8]
    (copy / "manifest.json").write_bytes(text.replace(blank.encode(), version.encode(), 1))
    copy.rename(copy.with_name(version))
    return version


def activate(server, version):
    return server.operate("POST", "/admin/v1/models/retrieval/activate", {"version": version})


def all_memory(shop, sqlite, _):
    """A bundle that asks for 640 GB"""
    version = craft(shop, 400_000, 0)
    with Server(shop, sqlite, models__load_memory_mb=1024) as server:
        server.wait()
        began, before = time.monotonic(), resident_mb(server.process.pid)
        status, answer = activate(server, version)
        took, grown = time.monotonic() - began, resident_mb(server.process.pid) - before
        assert status == 422, (status, answer)
        assert grown < 200, f"{grown} MB"
        assert server.recommend()[0] == 200
        return f"refused after {took:.1f} s; the server grew by {grown} MB: {answer['detail'][:110]}…"


def all_time(shop, sqlite, _):
    """A bundle that computes for days, and SIGTERM in the middle"""
    version = craft(shop, 6_000, 500)
    with Server(shop, sqlite, models__load_seconds=3) as server:
        server.wait()
        began = time.monotonic()
        status, answer = activate(server, version)
        refused = time.monotonic() - began
        assert status == 422 and "3 s" in answer["detail"], (status, answer)
    with Server(shop, sqlite, models__load_seconds=100) as server:
        server.wait()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            loading = pool.submit(activate, server, version)
            while not children(server.process.pid):
                time.sleep(0.01)
            child = children(server.process.pid)[0]
            took = server.stop()
            status = loading.result()[0]
        assert took < 3 and status == 503, (took, status)
        assert not os.path.exists(f"/proc/{child}"), "the child lives on"
        return f"refused after {refused:.1f} s; SIGTERM during a load ends the server in {took:.2f} s"


def burst(shop, _, postgres):
    """400 new customers at once on Postgres, 8 connections, 250 ms"""
    with Server(shop, postgres.url) as server:
        server.wait()
        with concurrent.futures.ThreadPoolExecutor(400) as pool:
            began = time.monotonic()
            tasks = [pool.submit(server.recommend, customer_id=id) for id in shop.customers[:400]]
            answers = [task.result() for task in tasks]
            took = time.monotonic() - began
        failed = sum(status != 200 for status, _ in answers)
        warned = sum(bool(answer.get("meta", {}).get("warnings")) for _, answer in answers)
        text = f"{failed} failed and {warned} degraded of {len(answers)} in {took:.2f} s"
        assert not failed and not warned, text
        return text


def broken_row(shop, _, postgres):
    """A customer whose row cannot be read"""
    bad, good = shop.customers[500], shop.customers[501]
    postgres.execute(f"""UPDATE customers SET attributes = '{{"age": {{"x": 1}}}}' WHERE id = '{bad}'""")
    with Server(shop, postgres.url) as server:
        server.wait()
        told = [server.recommend(customer_id=bad)[1]["meta"]["warnings"] for _ in range(5)]
        other = server.recommend(customer_id=good)[1]["meta"]["warnings"]
        ready = server.wait()
        assert told == [["customer_data_unavailable"]] * 5 and other == [], (told, other)
        assert ready["status"] == "ready", ready
    log = (shop.home / "server.log").read_text()
    assert bad not in log, "the log holds a customer's id"
    return "that customer is answered as unknown, the next one in full; the log names nobody"


def one_connection(shop, _, postgres):
    """database.connections = 1"""
    with Server(shop, postgres.url, database__connections=1) as server:
        server.wait(lambda status, body: status == 200 and body["status"] == "ready")
        time.sleep(3)
        ready = server.wait()
        assert ready["status"] == "ready", ready
        warnings = server.recommend(customer_id=shop.customers[700])[1]["meta"]["warnings"]
        assert warnings == [], warnings
        return "ready, and customers are read"


def without_database(shop, _, postgres):
    """A start while Postgres is down, and its return; an outage in between"""
    with Server(shop, postgres.url) as server:
        server.wait()
    postgres.stop()
    with Server(shop, postgres.url) as server:
        began = time.monotonic()
        ready = server.wait()
        started = time.monotonic() - began
        assert ready["status"] == "degraded", ready
        status, answer = server.recommend(customer_id="nobody")
        assert status == 200 and len(answer["items"]) == 12, answer
        assert answer["meta"]["model"]["version"] == shop.versions[1], answer
        postgres.start()
        began = time.monotonic()
        server.wait(lambda status, body: body.get("status") == "ready")
        healed = time.monotonic() - began
        assert server.recommend(customer_id=shop.customers[800])[1]["meta"]["warnings"] == []
        postgres.stop()
        worst = 0
        for n in range(50):
            began = time.monotonic()
            assert server.recommend(customer_id=shop.customers[900 + n])[0] == 200
            worst = max(worst, time.monotonic() - began)
        postgres.start()
        server.wait(lambda status, body: body.get("status") == "ready")
        return f"answers after {started:.1f} s without it, whole {healed:.1f} s after its return; outage: slowest {worst:.2f} s"


def damaged(shop, sqlite, _):
    """The active bundle is damaged at a start, and a rollback to a damaged one"""
    old, new = (shop.models / "retrieval" / version / "items.bin" for version in shop.versions)

    def flip(path):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    flip(new)
    with Server(shop, sqlite) as server:
        ready = server.wait()
        version = server.recommend()[1]["meta"]["model"]["version"]
        assert (ready["status"], version) == ("degraded", shop.versions[0]), (ready, version)
    flip(new)
    flip(old)
    done = shop.command(sqlite, "rollback", "retrieval", good=False)
    assert done.returncode == 1 and "sha256" in done.stderr, done
    flip(old)
    with Server(shop, sqlite) as server:
        assert server.wait()["status"] == "ready"
    return f"the earlier version stands in; rollback: exit 1, {done.stderr.strip()[:90]}…"


def strange_bundle(shop, sqlite, _):
    """A colleague's bundle in the folder"""
    other = shop.models / "a-colleagues"
    shop.run("trainer", "train", "--data", str(shop.data), "--out", str(shop.models), "--config",
             str(pathlib.Path(__file__).resolve().parent.parent / "models/configs/retrieval.toml"),
             "--set", "training.epochs=1", "--set", "model.name=a-colleagues")
    try:
        with Server(shop, sqlite) as server:
            server.wait()
            activate(server, shop.versions[0])
            activate(server, shop.versions[1])
            served = [model["name"] for model in server.operate("GET", "/admin/v1/status")[1]["models"]]
            assert served == ["retrieval"], served
            return f"served: {', '.join(served)}"
    finally:
        shutil.rmtree(other)


def many_filters(shop, sqlite, _):
    """Long filters without end"""
    with Server(shop, sqlite, limits__filter_cache_mb=16) as server:
        server.wait()
        before = resident_mb(server.process.pid)
        name = server.operate("GET", "/admin/v1/status")[1]["catalogue"]["attributes"][0]
        for n in range(300):
            values = [f"{n}-{i}-" + "x" * 200 for i in range(3_000)]
            server.recommend(filter={name: values})
        grown = resident_mb(server.process.pid) - before
        assert grown < 120, f"{grown} MB"
        return f"the server grew by {grown} MB after 300 filters of 600 kB"


def purchases(shop, sqlite, _):
    """Reasons that tell others' purchases"""
    with Server(shop, sqlite) as server:
        server.wait()
        text = json.dumps([server.recommend(customer_id=id, explain=True, k=100) for id in shop.customers[:50]])
        assert "best_seller" in text and "purchased" not in text and "bought" not in text
        return "none among the reasons for 50 customers"


def private_files(shop, _sqlite, _):
    """Files with personal data or keys"""
    path = shop.home / "private.sqlite"
    os.umask(0)
    shop.run("server", "migrate", "--database", f"sqlite:{path}")
    mode = path.stat().st_mode & 0o777
    assert mode == 0o600, oct(mode)
    return f"a new SQLite file has mode {mode:o} under umask 0"


ATTACKS = [all_memory, all_time, burst, broken_row, one_connection, without_database, damaged, strange_bundle,
           many_filters, purchases, private_files]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release", type=pathlib.Path)
    parser.add_argument("--only", nargs="*", default=[attack.__name__ for attack in ATTACKS])
    arguments = parser.parse_args()
    home = pathlib.Path(tempfile.mkdtemp(prefix="vitrine-attack-"))
    postgres, failed = None, 0
    try:
        shop = Shop(home, arguments.bin.resolve())
        postgres = Postgres(home)
        sqlite = shop.database(f"sqlite:{home}/shop.sqlite")
        shop.database(postgres.url)
        for attack in (attack for attack in ATTACKS if attack.__name__ in arguments.only):
            print(f"{attack.__doc__}:", flush=True)
            try:
                print(f"    {attack(shop, sqlite, postgres)}", flush=True)
            except AssertionError as error:
                failed += 1
                print(f"    DID NOT HOLD: {error}", flush=True)
    finally:
        if postgres:
            # An attack that failed may have left it stopped.
            with contextlib.suppress(subprocess.CalledProcessError):
                postgres.stop()
        shutil.rmtree(home)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
