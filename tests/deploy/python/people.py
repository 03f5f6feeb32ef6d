"""Two people in one room over WebSockets, each at a gateway of their own, as far as whoever leads them there spreads them.

Not here: those who write without listening (talk.py).
"""

import contextlib
import json
import re
import uuid
from collections.abc import Iterator

from talk import get, until
from websockets.sync.client import ClientConnection, connect

TRIES = 20
PATIENCE_SECONDS = 60


class Person:
    def __init__(self, url: str, room: str, name: str) -> None:
        address = url.replace("http://", "ws://", 1)
        self.socket: ClientConnection = connect(
            f"{address}/chat/{room}?username={name}", subprotocols=["moim.v1"], open_timeout=PATIENCE_SECONDS, proxy=None
        )
        cookie = re.search(r"moim=([^;]+)", self.socket.response.headers.get("Set-Cookie", ""))
        # HAProxy's name for the gateway.
        self.gateway = cookie[1] if cookie else None
        self.heard("joined")

    def heard(self, kind: str) -> dict:
        """The next frame of that type."""
        while True:
            frame = json.loads(self.socket.recv(timeout=PATIENCE_SECONDS))
            if frame["type"] == kind:
                return frame

    def says(self, content: str) -> None:
        self.socket.send(json.dumps({"type": "message", "content": content, "clientId": uuid.uuid4().hex}))


@contextlib.contextmanager
def two(url: str) -> Iterator[tuple[Person, Person]]:
    """Mina and Juno."""
    room = f"two-{uuid.uuid4().hex[:8]}"
    first, second = Person(url, room, "mina"), Person(url, room, "juno")
    try:
        yield first, second
    finally:
        first.socket.close()
        second.socket.close()


def chat_across_gateways(url: str) -> None:
    """Two at different gateways hear the same, in the same order."""
    until(lambda: "<!doctype html>" in get(f"{url}/").lower(), "no page")
    for _ in range(TRIES):
        with two(url) as (mina, juno):
            if mina.gateway == juno.gateway:
                continue
            for turn in range(20):
                (mina if turn % 2 else juno).says(f"turn {turn}")
                heard = [person.heard("message") for person in (mina, juno)]
                if [(one["content"], one["seq"]) for one in heard] != [(f"turn {turn}", heard[0]["seq"])] * 2:
                    raise AssertionError(f"they did not hear the same: {heard}")
            print(f"two people at gateways {mina.gateway} and {juno.gateway} heard the same 20 messages", flush=True)
            return
    raise AssertionError("whoever leads people in puts everybody at the same gateway")
