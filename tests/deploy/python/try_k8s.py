"""The local overlay for real: applied to a cluster, talked in while pods go and come, and deleted with its namespace.

Not here: what needs no cluster (`cargo xtask test --only deploy`), and bringing the image moim:local to the nodes.
"""

import argparse
import contextlib
import subprocess
import threading
from collections.abc import Iterator

from files import ROOT, asked_for
from running import free_port
from talk import Talk, get, until

NAMESPACE = "moim"


class Cluster:
    def __init__(self, context: str) -> None:
        self.command = [asked_for("KUBECTL"), "--context", context]

    def __call__(self, *words: str) -> None:
        print("$ kubectl", *words, flush=True)
        subprocess.run([*self.command, *words], cwd=ROOT, check=True)

    def asks(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.command, *words], cwd=ROOT, capture_output=True, text=True, check=False)

    def inside(self, *words: str) -> None:
        self("--namespace", NAMESPACE, *words)

    @contextlib.contextmanager
    def forwarded(self) -> Iterator[str]:
        """The Service on a port here. `port-forward` holds on to one pod and ends with it: then it is started again."""
        port, ended = free_port(), threading.Event()
        command = [*self.command, "--namespace", NAMESPACE, "port-forward", "service/moim", f"{port}:80"]
        processes: list[subprocess.Popen] = []

        def forward() -> None:
            while not ended.is_set():
                processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
                # It can outlive its pod without a word, so it is asked.
                while processes[-1].poll() is None and not ended.wait(2):
                    try:
                        get(f"http://127.0.0.1:{port}/")
                    except OSError:
                        processes[-1].kill()
                processes[-1].kill()
                processes[-1].wait()

        thread = threading.Thread(target=forward, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            ended.set()
            thread.join(30)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--context", required=True, help="the cluster, as kubectl's configuration calls it; its namespace moim is made and deleted")
    cluster = Cluster(parser.parse_args().context)
    if cluster.asks("get", "namespace", NAMESPACE).returncode == 0:
        raise SystemExit(f"there is a namespace {NAMESPACE} already: this would delete it in the end")
    try:
        run(cluster)
    except Exception:
        cluster.inside("get", "pods,events", "--output", "wide")
        raise
    finally:
        cluster("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=5m")
    print("k8s/overlays/local: everything held", flush=True)


def run(cluster: Cluster) -> None:
    # The namespace must be there before the rest can be tried by the server.
    cluster("apply", "--filename", "k8s/base/namespace.yaml")
    cluster("apply", "--kustomize", "k8s/overlays/local", "--dry-run=server", "--validate=strict")
    cluster("apply", "--kustomize", "k8s/overlays/local")
    cluster.inside("wait", "--for=condition=complete", "job/moim-migrate", "--timeout=10m")
    for deployment in ("moim-gateway", "moim-writer"):
        cluster.inside("rollout", "status", f"deployment/{deployment}", "--timeout=5m")
    with cluster.forwarded() as url:
        until(lambda: "<!doctype html>" in get(url).lower(), "no page")
        talk = Talk(url)
        talk.start()
        talk.goes_on()
        for what in ("deployment/moim-gateway", "deployment/moim-writer", "statefulset/redis"):
            cluster.inside("rollout", "restart", what)
            cluster.inside("rollout", "status", what, "--timeout=10m")
            talk.goes_on()
        cluster.inside("scale", "statefulset/cassandra", "--replicas=0")
        cluster.inside("wait", "--for=delete", "pod/cassandra-0", "--timeout=5m")
        talk.goes_on()
        cluster.inside("scale", "statefulset/cassandra", "--replicas=1")
        cluster.inside("rollout", "status", "statefulset/cassandra", "--timeout=10m")
        talk.stop()
        talk.check()
    fenced(cluster)


def fenced(cluster: Cluster) -> None:
    """Redis answers nobody in another namespace; asked by Redis's own program from its own image."""
    host = f"redis.{NAMESPACE}.svc.cluster.local"
    ask = f"getent hosts {host} && echo found; timeout 10 redis-cli -h {host} ping; echo asked"
    pod = ["run", "moim-try-stranger", "--namespace", "default", "--image=redis:7", "--restart=Never", "--rm", "--attach", "--quiet"]
    said = cluster.asks(*pod, "--command", "--", "sh", "-c", ask)
    if "found" not in said.stdout or "asked" not in said.stdout:
        raise AssertionError(f"the stranger could not even ask: {said.stdout}{said.stderr}")
    if "PONG" in said.stdout:
        raise AssertionError("a stranger reached Redis: does the network plug-in enforce NetworkPolicy?")


if __name__ == "__main__":
    main()
