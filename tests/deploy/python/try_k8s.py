"""The local overlay for real: applied to a cluster, talked in while pods go and come, and deleted with its namespace.

Not here: what needs no cluster (`cargo xtask test --only deploy`), and bringing the image moim:local to the nodes.
"""

import argparse
import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator

from files import ROOT, asked_for
from running import free_port
from talk import Talk, get, until

NAMESPACE = "moim"
GATEWAYS = "app.kubernetes.io/component=gateway"


class Cluster:
    def __init__(self, context: str) -> None:
        self.command = [asked_for("KUBECTL"), "--context", context]

    def __call__(self, *words: str) -> None:
        print("$ kubectl", *words, flush=True)
        subprocess.run([*self.command, *words], cwd=ROOT, check=True)

    def asks(self, *words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.command, *words], cwd=ROOT, capture_output=True, text=True, check=False, input=given)

    def inside(self, *words: str) -> None:
        self("--namespace", NAMESPACE, *words)

    def rolled(self, what: str) -> None:
        self.inside("rollout", "status", what, "--timeout=10m")

    def gateways(self) -> list[str]:
        """Pods that serve people and are not on their way out."""
        pods = json.loads(self.asks("--namespace", NAMESPACE, "get", "pods", "--selector", GATEWAYS, "--output", "json").stdout)["items"]
        return sorted(pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"])

    def evict(self, pod: str) -> bool:
        """As a drain of its node does; whether the disruption budget lets it."""
        print(f"$ evict {pod}", flush=True)
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
        answer = self.asks("create", "--raw", path, "--filename", "-", given=json.dumps(eviction))
        if answer.returncode and "disruption budget" not in answer.stderr:
            raise AssertionError(f"{pod} was not evicted for another reason: {answer.stderr}")
        return answer.returncode == 0

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
    parser.add_argument("--update-to", help="another image of moim that the nodes have, to upgrade to while people talk")
    args = parser.parse_args()
    cluster = Cluster(args.context)
    if cluster.asks("get", "namespace", NAMESPACE).returncode == 0:
        raise SystemExit(f"there is a namespace {NAMESPACE} already: this would delete it in the end")
    try:
        run(cluster, args.update_to)
    except Exception:
        cluster.inside("get", "pods,events", "--output", "wide")
        raise
    finally:
        cluster("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=5m")
    print("k8s/overlays/local: everything held", flush=True)


def run(cluster: Cluster, image: str | None) -> None:
    # The namespace must be there before the rest can be tried by the server.
    cluster("apply", "--filename", "k8s/base/namespace.yaml")
    cluster("apply", "--kustomize", "k8s/overlays/local", "--dry-run=server", "--validate=strict")
    cluster("apply", "--kustomize", "k8s/overlays/local")
    cluster.inside("wait", "--for=condition=complete", "job/moim-migrate", "--timeout=10m")
    cluster.rolled("deployment/moim-gateway")
    cluster.rolled("deployment/moim-writer")
    with cluster.forwarded() as url:
        until(lambda: "<!doctype html>" in get(url).lower(), "no page")
        talk = Talk(url)
        talk.start()
        talk.goes_on()
        gateways_go_and_come(cluster, talk, image)
        servers_go_and_come(cluster, talk)
        talk.stop()
        talk.check()
    fenced(cluster)


def gateways_go_and_come(cluster: Cluster, talk: Talk, image: str | None) -> None:
    for replicas in (4, 2):
        cluster.inside("scale", "deployment/moim-gateway", f"--replicas={replicas}")
        cluster.rolled("deployment/moim-gateway")
        until(lambda: len(cluster.gateways()) == replicas, f"there are not {replicas} gateways")
        talk.goes_on()
    for what in ("deployment/moim-gateway", "deployment/moim-writer"):
        if image:
            cluster.inside("set", "image", what, f"moim={image}")
        else:
            cluster.inside("rollout", "restart", what)
        cluster.rolled(what)
        talk.goes_on()
    until(lambda: len(cluster.gateways()) == 2, "the old gateways do not go")
    first, second = cluster.gateways()
    if not cluster.evict(first):
        raise AssertionError("no gateway may be evicted, though all are there")
    if cluster.evict(second):
        raise AssertionError("both gateways may be evicted at once")
    talk.goes_on()
    cluster.rolled("deployment/moim-gateway")


def servers_go_and_come(cluster: Cluster, talk: Talk) -> None:
    for pod, owner in (("redis-0", "statefulset/redis"), ("cassandra-0", "statefulset/cassandra")):
        cluster.inside("delete", "pod", pod, "--grace-period=0", "--force")
        talk.goes_on()
        cluster.rolled(owner)
        talk.goes_on()
    cluster.inside("scale", "statefulset/cassandra", "--replicas=0")
    cluster.inside("wait", "--for=delete", "pod/cassandra-0", "--timeout=5m")
    talk.goes_on()
    cluster.inside("scale", "statefulset/cassandra", "--replicas=1")
    cluster.rolled("statefulset/cassandra")


def fenced(cluster: Cluster) -> None:
    """Who is in another namespace reaches the page and nothing else; asked from Redis's image, which has a shell."""
    services = {"moim": 80, "moim-ops": 9765, "redis": 6379, "cassandra": 9042}
    host = f"$name.{NAMESPACE}.svc.cluster.local"
    dial = f'getent hosts {host} > /dev/null && echo found $name; timeout 10 bash -c "</dev/tcp/{host}/$port" && echo reached $name'
    each = [f"name={name} port={port}; {dial}" for name, port in services.items()]
    stranger = ["--namespace", "default", "moim-try-stranger"]
    script = "; ".join([*each, "true"])
    cluster("run", *stranger, "--image=redis:7", "--restart=Never", "--command", "--", "bash", "-c", script)
    try:
        # Only what has ended has said everything.
        ended = ["--for=jsonpath={.status.phase}=Succeeded", "--timeout=5m"]
        cluster("wait", "--namespace", "default", "pod/moim-try-stranger", *ended)
        said = cluster.asks("logs", *stranger).stdout
    finally:
        cluster("delete", "pod", *stranger)
    told = [line.split() for line in said.splitlines()]
    found, reached = ({words[1] for words in told if words[0] == wanted} for wanted in ("found", "reached"))
    if found != set(services):
        raise AssertionError(f"the stranger could not even ask: {said}")
    if reached != {"moim"}:
        raise AssertionError(f"a stranger reached {reached}: does the network plug-in enforce NetworkPolicy?")
    print("a stranger reaches the page, and neither metrics nor Redis nor Cassandra", flush=True)


if __name__ == "__main__":
    main()
