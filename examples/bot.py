"""A bot that answers "!echo something": python bot.py [server] [room]. Needs `pip install websockets`."""

import asyncio
import json
import sys
from contextlib import suppress
from urllib.parse import quote

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

NAME = "echo-bot"


async def main(server: str, room: str) -> None:
    address = f"{server}/chat/{quote(room, safe='')}?username={NAME}"
    # Connects again, with a growing pause, whenever the connection ends.
    async for chat in connect(address):
        print("connected", flush=True)
        with suppress(ConnectionClosed):
            async for text in chat:
                frame = json.loads(text)
                if frame["type"] == "message" and frame["content"].startswith("!echo "):
                    answer = f"{frame['username']}: {frame['content'].removeprefix('!echo ')}"
                    await chat.send(json.dumps({"content": answer}))


if __name__ == "__main__":
    arguments = sys.argv[1:] + ["ws://127.0.0.1:8765", "general"][len(sys.argv) - 1 :]
    asyncio.run(main(*arguments))
