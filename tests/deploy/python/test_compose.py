"""The compose file keeps what it says: loopback only, bounded, official images, a drain that has the time it needs.

Not here: whether docker-compose can read it (both of them do, in `cargo xtask test --only deploy`).
"""

import re
import unittest

import running
import yaml
from files import ROOT, compose, default_of, seconds, text

# By whom they are made: the Docker library, or the project itself.
IMAGES = {"moim", "haproxy", "redis", "cassandra", "prom/prometheus", "grafana/grafana", "scylladb/scylla"}
GATEWAYS = ["gateway-1", "gateway-2", "gateway-3"]


def services() -> dict[str, dict]:
    return compose()["services"]


def number(pattern: str, path: str = "deploy/haproxy/haproxy.cfg") -> int:
    return int(re.search(pattern, text(path))[1])


class Compose(unittest.TestCase):
    def test_what_is_published_is_on_loopback(self) -> None:
        ports = {name: service["ports"] for name, service in services().items() if "ports" in service}
        self.assertEqual(set(ports), {"haproxy", "prometheus", "grafana"})
        for port in (port for some in ports.values() for port in some):
            self.assertRegex(port, r"^127\.0\.0\.1:")

    def test_redis_and_cassandra_have_no_way_out(self) -> None:
        self.assertTrue(compose()["networks"]["data"]["internal"])
        for name in ("redis", "cassandra", "migrate"):
            self.assertEqual(services()[name]["networks"], ["data"])

    def test_what_is_mounted_lies_in_deploy_or_is_a_volume(self) -> None:
        for name, service in services().items():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("."):
                    self.assertTrue(source.startswith("./deploy/") and (ROOT / source).exists(), f"{name}: {source}")
                    self.assertTrue(volume.endswith(":ro"), f"{name}: {volume}")
                else:
                    self.assertIn(source, compose()["volumes"], name)

    def test_everything_is_bounded(self) -> None:
        for name, service in services().items():
            for key in ("mem_limit", "pids_limit", "logging", "security_opt"):
                self.assertIn(key, service, name)

    def test_images_are_official_and_of_a_version(self) -> None:
        scylla = yaml.safe_load(text("deploy/scylla.yml"))["services"]
        for name, service in (services() | scylla).items():
            image, _, tag = default_of(service["image"]).partition(":")
            self.assertIn(image, IMAGES, name)
            self.assertTrue(tag and tag != "latest", name)

    def test_the_order_of_the_start(self) -> None:
        for name in GATEWAYS:
            waits = services()[name]["depends_on"]
            self.assertEqual(waits["redis"]["condition"], "service_healthy")
            self.assertEqual(waits["migrate"]["condition"], "service_completed_successfully")
        self.assertEqual(services()["migrate"]["depends_on"]["cassandra"]["condition"], "service_healthy")
        self.assertEqual(set(services()["haproxy"]["depends_on"]), set(GATEWAYS))
        for name in ("redis", "cassandra"):
            self.assertIn("healthcheck", services()[name])

    def test_moim_understands_its_settings(self) -> None:
        for name in [*GATEWAYS, "migrate"]:
            settings = {key: default_of(value) for key, value in services()[name]["environment"].items()}
            settings |= {"MOIM__LISTEN__PUBLIC": "0.0.0.0:8765", "MOIM__LISTEN__OPS": "0.0.0.0:9765"}
            checked = running.check_config(settings)
            self.assertEqual(checked.returncode, 0, checked.stderr)

    def test_a_drain_has_the_time_it_needs(self) -> None:
        gateway = services()["gateway-1"]
        drain = {name: int(gateway["environment"][f"MOIM__DRAIN__{name}_SECONDS"]) for name in ("UNREADY", "SPREAD", "GRACE")}
        interval, fall = number(r"inter (\d+)s"), number(r"fall (\d+)")
        self.assertGreater(drain["UNREADY"], interval * fall, "HAProxy must have seen it before sockets are closed")
        self.assertLess(drain["UNREADY"] + drain["SPREAD"], drain["GRACE"])
        self.assertLess(drain["GRACE"], seconds(gateway["stop_grace_period"]))
        self.assertLess(number(r"hard-stop-after (\d+)s"), seconds(services()["haproxy"]["stop_grace_period"]))

    def test_files_suffice_for_connections(self) -> None:
        files = services()["haproxy"]["ulimits"]["nofile"]["hard"]
        self.assertGreater(files, 2 * number(r"(?m)^    maxconn (\d+)"))
        self.assertGreater(services()["gateway-1"]["ulimits"]["nofile"]["hard"], 10_000)

    def test_everybody_calls_the_gateways_by_their_name(self) -> None:
        for name in GATEWAYS:
            self.assertEqual(services()[name]["networks"]["front"]["aliases"], ["gateways"])
        self.assertIn("gateways:8765", text("deploy/haproxy/haproxy.cfg"))
        self.assertIn("names: [gateways]", text("deploy/prometheus/prometheus.yml"))
        subnet = compose()["networks"]["front"]["ipam"]["config"][0]["subnet"]
        self.assertEqual(services()["gateway-1"]["environment"]["MOIM__LISTEN__TRUSTED_PROXIES"], subnet)

    def test_redis_evicts_nothing_and_logs_everything(self) -> None:
        command = " ".join(services()["redis"]["command"])
        self.assertIn("--maxmemory-policy noeviction", command)
        self.assertIn("--appendonly yes", command)

    def test_scylla_takes_the_place_of_cassandra_and_no_other(self) -> None:
        scylla = yaml.safe_load(text("deploy/scylla.yml"))
        self.assertEqual(set(scylla["services"]), {"cassandra"})


if __name__ == "__main__":
    unittest.main()
