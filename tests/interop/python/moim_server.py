"""A real moim of one's own, from the binary that MOIM_BIN names.

Not here: what is said to it.
"""

import asyncio
import os
import pathlib
import random
import shutil
import tempfile

START_SECONDS = 30
STOP_SECONDS = 40
# Below the range from which the kernel takes ports for outgoing connections.
PORTS = range(10_000, 32_000)
PORT_TRIES = 20


class MoimServer:
    """Started with `await MoimServer.start()`, ended with `await server.remove()`."""

    def __init__(self, binary: str) -> None:
        self.folder = tempfile.mkdtemp(prefix="moim-interop-")
        self.log = pathlib.Path(self.folder) / "log"
        self.port = 0
        self._binary = binary
        self._process: asyncio.subprocess.Process | None = None

    @classmethod
    async def start(cls) -> "MoimServer":
        binary = os.environ.get("MOIM_BIN")
        if not binary:
            raise RuntimeError("MOIM_BIN is not set; `cargo xtask test --only interop` sets it")
        server = cls(binary)
        for attempt in range(1, PORT_TRIES + 1):
            try:
                await server._start()
                return server
            except RuntimeError as fault:
                # Somebody else may have taken the port meanwhile.
                if attempt == PORT_TRIES or "in use" not in str(fault):
                    await server.remove()
                    raise
        raise AssertionError("the loop returns or raises")

    def address(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    async def remove(self) -> None:
        process = self._process
        if process and process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except asyncio.TimeoutError:
                process.kill()
                await process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _start(self) -> None:
        self.port, ops_port = random.sample(PORTS, 2)
        arguments = ["serve", "--listen", f"127.0.0.1:{self.port}", "--ops-listen", f"127.0.0.1:{ops_port}"]
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._binary,
                *arguments,
                "--data",
                f"{self.folder}/data",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        try:
            await asyncio.wait_for(self._listening(), START_SECONDS)
        except (EOFError, asyncio.TimeoutError):
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            raise RuntimeError(f"moim did not start:\n{self.log.read_text()}") from None

    async def _listening(self) -> None:
        assert self._process and self._process.stdout
        # The last line of its banner.
        while b"Ctrl-C" not in (line := await self._process.stdout.readline()):
            if not line:
                raise EOFError
