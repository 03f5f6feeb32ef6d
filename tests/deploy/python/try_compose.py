"""docker-compose.yml for real: started, talked in while its parts go and come, and taken down with its data.

Not here: what needs no engine (`cargo xtask test --only deploy`).
"""

import argparse
import os
import re
import subprocess

from files import ROOT, asked_for
from running import free_port
from talk import Talk, get, get_json, until

GATEWAYS = ["gateway-1", "gateway-2", "gateway-3"]
ALL = ["haproxy", "prometheus", "grafana"]


class Compose:
    """One project of its own, on ports of its own."""

    def __init__(self) -> None:
        self.ports = {name: free_port() for name in ("MOIM_PORT", "HAPROXY_STATS_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")}
        variables = {name: str(port) for name, port in self.ports.items()}
        self.environment = os.environ | variables | {"DOCKER_BUILDKIT": "1"}
        self.command = [asked_for("COMPOSE"), "--project-name", f"moim-try-{os.getpid()}"]

    def __call__(self, *words: str) -> None:
        print("$ docker-compose", *words, flush=True)
        subprocess.run([*self.command, *words], cwd=ROOT, env=self.environment, check=True)

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.ports[port]}"

    def ready(self, gateways: int) -> None:
        """Waits until HAProxy has that many gateways."""
        expected = f'haproxy_backend_active_servers{{proxy="gateways"}} {gateways}\n'
        until(lambda: expected in get(f"{self.url('HAPROXY_STATS_PORT')}/metrics"), f"HAProxy has not {gateways} gateways")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--without", default="", help="services that are not started, with commas: prometheus,grafana")
    wanted = [name for name in ALL if name not in parser.parse_args().without.split(",")]
    compose = Compose()
    try:
        compose("up", "-d", "--build", *wanted)
        run(compose, wanted)
    except Exception:
        compose("logs", "--tail", "40")
        raise
    finally:
        compose("down", "--volumes", "--remove-orphans")
    print("docker-compose.yml: everything held", flush=True)


def run(compose: Compose, wanted: list[str]) -> None:
    compose.ready(3)
    talk = Talk(compose.url("MOIM_PORT"))
    talk.start()
    talk.goes_on()
    for gateway in GATEWAYS:
        compose("stop", gateway)
        compose.ready(2)
        talk.goes_on()
        compose("start", gateway)
        compose.ready(3)
    compose("kill", "-s", "KILL", "gateway-1")
    talk.goes_on()
    compose("start", "gateway-1")
    compose.ready(3)
    compose("restart", "redis")
    talk.goes_on()
    compose("stop", "cassandra")
    talk.goes_on()
    compose("start", "cassandra")
    compose("up", "-d", "--no-recreate", "--no-deps", "--scale", "gateway-3=3", "gateway-3")
    compose.ready(5)
    compose("up", "-d", "--no-recreate", "--no-deps", "--scale", "gateway-3=1", "gateway-3")
    compose.ready(3)
    talk.goes_on()
    talk.stop()
    talk.check()
    if "wal" not in talk.levels or "stored" not in talk.levels:
        raise AssertionError(f"acknowledged as {talk.levels}, though Cassandra was there and was away")
    watch(compose, wanted)


def watch(compose: Compose, wanted: list[str]) -> None:
    if "prometheus" in wanted:
        prometheus = compose.url("PROMETHEUS_PORT")

        def scraped() -> bool:
            targets = get_json(f"{prometheus}/api/v1/targets?state=active")["data"]["activeTargets"]
            up = [target["labels"]["job"] for target in targets if target["health"] == "up"]
            return len(up) == len(targets) and up.count("moim") == 3 and up.count("haproxy") == 1

        until(scraped, "Prometheus does not reach everything")
        groups = get_json(f"{prometheus}/api/v1/rules")["data"]["groups"]
        written = sum(len(re.findall("- alert:", path.read_text())) for path in (ROOT / "deploy/prometheus").glob("*.rules.yml"))
        loaded = sum(len(group["rules"]) for group in groups)
        if loaded != written:
            raise AssertionError(f"{loaded} of {written} alerts are loaded")
    if "grafana" in wanted:
        grafana = compose.url("GRAFANA_PORT")
        until(lambda: get_json(f"{grafana}/api/dashboards/uid/moim")["dashboard"]["title"] == "moim", "no dashboard")


if __name__ == "__main__":
    main()
