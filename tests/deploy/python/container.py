"""The image as it is run: how big, how soon ready, under which rights.

Not here: what it is made of (test_image.py), the cluster that it becomes a part of (try_compose.py).
"""

import json
import subprocess
import time
import urllib.request
from datetime import datetime

from running import free_port

# Nobody's, and in no /etc/passwd.
STRANGER = "12345:54321"
PATIENCE_SECONDS = 60
# Has what the image has not: a shell, to look at the process from.
LOOKING_GLASS = "redis:7"


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.strip()


def report(image: str, like: str, networks: list[str]) -> None:
    """Starts one more of the container `like`, as a stranger, and says what it is."""
    size = int(docker("image", "inspect", "--format", "{{.Size}}", image))
    print(f"image {image}: {size / 1e6:.1f} MB", flush=True)
    settings = json.loads(docker("inspect", "--format", "{{json .Config.Env}}", like))
    port = free_port()
    words = ["create", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", STRANGER]
    words += ["--network", networks[0], "--publish", f"127.0.0.1:{port}:9765"]
    words += [word for setting in settings if setting.startswith("MOIM__") for word in ("--env", setting)]
    container = docker(*words, image, "serve")
    try:
        for network in networks[1:]:
            docker("network", "connect", network, container)
        started(container, port)
        rights(container)
    finally:
        docker("rm", "--force", container)


def started(container: str, port: int) -> None:
    asked = time.time()
    docker("start", container)
    while not ready(port):
        if time.time() > asked + PATIENCE_SECONDS:
            raise AssertionError(f"never ready:\n{docker('logs', container)}")
        time.sleep(0.005)
    now = time.time()
    # Nanoseconds are more than Python reads.
    began = docker("inspect", "--format", "{{.State.StartedAt}}", container)[:26].rstrip("Z")
    process = datetime.fromisoformat(f"{began}+00:00").timestamp()
    print(f"a gateway is ready {now - process:.2f} s after its process began ({now - asked:.2f} s after `docker start`)", flush=True)


def ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def rights(container: str) -> None:
    """From inside its own process table: whose it is, what it may, whether it can write."""
    look = "grep -E '^(Uid|Gid|CapEff|CapBnd|NoNewPrivs):' /proc/1/status; grep ' / ' /proc/1/mounts"
    seen = docker("run", "--rm", "--pid", f"container:{container}", "--entrypoint", "sh", LOOKING_GLASS, "-c", look)
    facts = {key.rstrip(":"): set(values) for key, *values in (line.split() for line in seen.splitlines())}
    root = next(line.split()[3].split(",")[0] for line in seen.splitlines() if " / " in line)
    uid, gid = STRANGER.split(":")
    wanted = {"Uid": {uid}, "Gid": {gid}, "CapEff": {"0" * 16}, "CapBnd": {"0" * 16}, "NoNewPrivs": {"1"}}
    wrong = {key: facts.get(key) for key, value in wanted.items() if facts.get(key) != value}
    if wrong or root != "ro":
        raise AssertionError(f"it has other rights than were given: {wrong}, root {root}\n{seen}")
    print(f"it runs as {STRANGER}, without capabilities, on a read-only root", flush=True)
