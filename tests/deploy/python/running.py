"""A moim and an HAProxy that run for a moment, to be asked what they export.

Not here: what is done with the answer.
"""

import contextlib
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

from files import asked_for, text

PATIENCE_SECONDS = 60
# Nobody listens there: a node of a cluster starts without its servers.
NOBODY = "127.0.0.1:1"
CLUSTER = {
    "MOIM__BUS__KIND": "redis",
    "MOIM__REDIS__URLS": f"redis://{NOBODY}",
    "MOIM__STORE__KIND": "cassandra",
    "MOIM__CASSANDRA__CONTACT_POINTS": NOBODY,
}


def without_moim() -> dict[str, str]:
    """Our environment, but for settings of a moim."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("MOIM_")}


def check_config(settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [asked_for("MOIM_BIN"), "check-config"]
    return subprocess.run(command, env=without_moim() | settings, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)


def metrics_of_moim(command: str) -> str:
    port = free_port()
    settings = CLUSTER | {"MOIM__LISTEN__PUBLIC": "127.0.0.1:0", "MOIM__LISTEN__OPS": f"127.0.0.1:{port}"}
    with running([asked_for("MOIM_BIN"), command], settings) as process:
        return scrape(port, process)


def metrics_of_haproxy() -> str:
    """With our configuration, but for its ports and the files that it takes."""
    chat, stats = free_port(), free_port()
    config = text("deploy/haproxy/haproxy.cfg")
    changes = (
        (r"bind :8765", f"bind 127.0.0.1:{chat}"),
        (r"bind :8404", f"bind 127.0.0.1:{stats}"),
        (r"maxconn \d+", "maxconn 100"),
    )
    for old, new in changes:
        config, changed = re.subn(rf"(?m)^    {old}$", f"    {new}", config)
        if changed != 1:
            raise AssertionError(f"haproxy.cfg has {changed} lines `{old}`")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "haproxy.cfg"
        path.write_text(config, encoding="utf-8")
        with running([asked_for("HAPROXY"), "-db", "-q", "-f", str(path)], {}) as process:
            return scrape(stats, process)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(command: list[str], settings: dict[str, str]) -> Iterator[subprocess.Popen]:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=without_moim() | settings, cwd=folder, stdout=log, stderr=log)
        try:
            yield process
        except Exception as fault:
            log.seek(0)
            raise RuntimeError(f"{command}: {fault}\n{log.read().decode(errors='replace')}") from fault
        finally:
            process.kill()
            process.wait()


def scrape(port: int, process: subprocess.Popen) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, OSError) as fault:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no metrics at {port}, status {process.poll()}: {fault}") from fault
            time.sleep(0.1)


def series(exposition: str) -> dict[str, dict[str, set[str]]]:
    """Name of each series, with the values of each of its labels."""
    found: dict[str, dict[str, set[str]]] = {}
    for line in exposition.splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition("{")
            labels = found.setdefault(name.split(" ")[0], {})
            for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', rest):
                labels.setdefault(label, set()).add(value)
    return found
