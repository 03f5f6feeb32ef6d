"""docker-compose.yml for real: started, talked in while its parts go and come, and taken down with its data.

Not here: what needs no engine (`cargo xtask test --only deploy`).
"""

import argparse
import json
import os
import subprocess

import container
from files import ROOT, asked_for, compose
from people import chat_across_gateways
from running import free_port
from talk import Talk, get, get_json, until
from watching import Prometheus

GATEWAYS = ["gateway-1", "gateway-2", "gateway-3"]
ALL = ["haproxy", "prometheus", "grafana"]
ROWS = "paging off; select json room, seq, username, content from moim.messages"


class Compose:
    """One project of its own, on ports of its own."""

    def __init__(self, image: str | None) -> None:
        names = ("MOIM_PORT", "HAPROXY_STATS_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")
        self.ports = {name: free_port() for name in names}
        variables = {name: str(port) for name, port in self.ports.items()}
        # Beside a cluster that runs here already.
        variables["MOIM_SUBNET"] = os.environ.get("MOIM_SUBNET", f"172.30.{os.getpid() % 256}.0/24")
        variables |= {"MOIM_IMAGE": image} if image else {}
        self.environment = os.environ | variables | {"DOCKER_BUILDKIT": "1"}
        self.project = f"moim-try-{os.getpid()}"
        self.command = [asked_for("COMPOSE"), "--project-name", self.project]
        self.building = "--no-build" if image else "--build"
        self.image = image or "moim:local"

    def __call__(self, *words: str) -> None:
        print("$ docker-compose", *words, flush=True)
        subprocess.run([*self.command, *words], cwd=ROOT, env=self.environment, check=True)

    def says(self, *words: str) -> str:
        return subprocess.run([*self.command, *words], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True).stdout

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.ports[port]}"

    def ready(self, gateways: int) -> None:
        """Waits until HAProxy has that many gateways."""
        expected = f'haproxy_backend_active_servers{{proxy="gateways"}} {gateways}\n'
        until(lambda: expected in get(f"{self.url('HAPROXY_STATS_PORT')}/metrics"), f"HAProxy has not {gateways} gateways")

    def containers(self) -> list[dict]:
        return json.loads(container.docker("inspect", *self.says("ps", "--quiet").split()))

    def healthy(self) -> None:
        """Waits until everything with a health check is healthy; whatever may have one has it."""
        expected = {name for name, service in compose()["services"].items() if "healthcheck" in service} | set(GATEWAYS)

        def all_healthy() -> bool:
            states = {one["Config"]["Labels"]["com.docker.compose.service"]: one["State"] for one in self.containers()}
            health = {name: state["Health"]["Status"] for name, state in states.items() if "Health" in state}
            return expected - {"migrate"} <= set(health) and set(health.values()) == {"healthy"}

        until(all_healthy, "not everything is healthy")

    def rows(self) -> list[dict]:
        """What lies in the tables, asked past every gateway."""
        lines = self.says("exec", "-T", "cassandra", "cqlsh", "-e", ROWS).splitlines()
        return [json.loads(line) for line in lines if line.lstrip().startswith("{")]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--without", default="", help="services that are not started, with commas: prometheus,grafana")
    parser.add_argument("--image", help="an image of moim that is there; none is built then")
    args = parser.parse_args()
    wanted = [name for name in ALL if name not in args.without.split(",")]
    cluster = Compose(args.image)
    try:
        cluster("up", "-d", cluster.building, *wanted)
        run(cluster, wanted)
    except Exception:
        cluster("logs", "--tail", "40")
        raise
    finally:
        cluster("down", "--volumes", "--remove-orphans")
    print("docker-compose.yml: everything held", flush=True)


def run(cluster: Compose, wanted: list[str]) -> None:
    cluster.ready(3)
    cluster.healthy()
    chat_across_gateways(cluster.url("MOIM_PORT"))
    container.report(cluster.image, cluster.says("ps", "--quiet", "gateway-1").strip(), [f"{cluster.project}_front", f"{cluster.project}_data"])
    talk = Talk(cluster.url("MOIM_PORT"))
    talk.start()
    talk.goes_on()
    if "grafana" in wanted:
        grafana = cluster.url("GRAFANA_PORT")
        until(lambda: get_json(f"{grafana}/api/dashboards/uid/moim")["dashboard"]["title"] == "moim", "no dashboard")
    if "prometheus" in wanted:
        prometheus = Prometheus(cluster.url("PROMETHEUS_PORT"))
        prometheus.sees(3)
        prometheus.has_all_rules()
        prometheus.answers_the_dashboard()
        alerts(cluster, prometheus)
        talk.goes_on()
    parts_go_and_come(cluster, talk)
    talk.stop()
    talk.check()
    if "wal" not in talk.levels or "stored" not in talk.levels:
        raise AssertionError(f"acknowledged as {talk.levels}, though Cassandra was there and was away")
    until(lambda: stored(cluster, talk), "the tables have not what was acknowledged, each once")
    cluster.healthy()


def parts_go_and_come(cluster: Compose, talk: Talk) -> None:
    for gateway in GATEWAYS:
        cluster("stop", gateway)
        cluster.ready(2)
        talk.goes_on()
        cluster("start", gateway)
        cluster.ready(3)
    cluster("kill", "-s", "KILL", "gateway-1")
    talk.goes_on()
    cluster("start", "gateway-1")
    cluster.ready(3)
    cluster("restart", "redis")
    talk.goes_on()
    cluster("stop", "cassandra")
    talk.goes_on()
    cluster("start", "cassandra")
    cluster("up", "-d", "--no-recreate", "--no-deps", "--scale", "gateway-3=3", "gateway-3")
    cluster.ready(5)
    cluster("up", "-d", "--no-recreate", "--no-deps", "--scale", "gateway-3=1", "gateway-3")
    cluster.ready(3)
    talk.goes_on()


def alerts(cluster: Compose, prometheus: Prometheus) -> None:
    """What can be made real within minutes fires for it, and clears."""
    if prometheus.firing():
        raise AssertionError(f"a healthy cluster raises {prometheus.firing()}")
    cluster("stop", "cassandra")
    cluster("pause", "gateway-1")
    prometheus.alarms("MoimNodeDown", "HaproxyGatewayGone")
    cluster("unpause", "gateway-1")
    prometheus.calms("MoimNodeDown", "HaproxyGatewayGone")
    cluster("stop", "gateway-2")
    prometheus.alarms("HaproxyGatewayGone", "MoimStoreNotConnected", "MoimBacklogOld")
    cluster("start", "gateway-2", "cassandra")
    prometheus.calms("HaproxyGatewayGone", "MoimStoreNotConnected", "MoimBacklogOld")
    cluster("stop", "redis")
    prometheus.alarms("MoimCutOffFromRedis", "HaproxyNoGateway")
    cluster("start", "redis")
    prometheus.calms("MoimCutOffFromRedis", "HaproxyNoGateway")
    cluster("stop", "haproxy", *GATEWAYS)
    prometheus.alarms("HaproxyDown", "MoimDown")
    cluster("start", *GATEWAYS, "haproxy")
    prometheus.calms("HaproxyDown", "MoimDown")
    cluster.ready(3)


def stored(cluster: Compose, talk: Talk) -> bool:
    rows = [(row["content"], (row["room"], row["seq"])) for row in cluster.rows() if row["username"] == talk.name]
    whole = sorted(rows) == sorted(talk.acknowledged.items())
    if whole:
        print(f"{len(rows)} rows in Cassandra, one for each acknowledgement", flush=True)
    return whole


if __name__ == "__main__":
    main()
