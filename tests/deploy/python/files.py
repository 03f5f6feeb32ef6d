"""The files that people run moim with, read once.

Not here: what must be true of them (the tests), and whether the programs that read them can (`cargo xtask test --only deploy`).
"""

import functools
import json
import os
import pathlib
import re
import tomllib

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"


def asked_for(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise RuntimeError(f"{variable} is not set; `cargo xtask test --only deploy` sets it")
    return value


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def documents(path: pathlib.Path) -> list[dict]:
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


@functools.cache
def compose() -> dict:
    return yaml.safe_load(text("docker-compose.yml"))


@functools.cache
def overlays() -> dict[str, list[dict]]:
    """Every overlay as `kubectl kustomize` renders it."""
    rendered = sorted(pathlib.Path(asked_for("RENDERED")).glob("*.yaml"))
    return {path.stem: documents(path) for path in rendered}


@functools.cache
def rules(name: str) -> list[dict]:
    groups = yaml.safe_load(text(f"deploy/prometheus/{name}"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@functools.cache
def dashboard() -> dict:
    return json.loads(text("deploy/grafana/dashboards/moim.json"))


@functools.cache
def version() -> str:
    return tomllib.loads(text("Cargo.toml"))["workspace"]["package"]["version"]


def default_of(value: str) -> str:
    """What Compose makes of `${NAME:-default}` when nobody sets NAME."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", value)


def seconds(duration: str) -> int:
    units = {"s": 1, "m": 60, "h": 3600}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smh])", duration))
