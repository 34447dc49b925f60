"""The API on a port, for programs that ask it over HTTP."""

from __future__ import annotations

import asyncio
import threading

import uvicorn

from server.http.app import create_app
from server.http.dependencies import HttpSettings
from tests.support.api import install, running_dependencies
from tests.support.program import free_port


class RunningApi(threading.Thread):
    """In a thread with a loop of its own; entered, it answers its address."""

    def __init__(self, database_url: str) -> None:
        super().__init__(daemon=True)
        self._database_url = database_url
        self._server: uvicorn.Server | None = None
        self.port = free_port()
        self.ready = threading.Event()

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        # A log line on standard output would be taken for the command's.
        quiet = HttpSettings(access_log=False)
        async with running_dependencies(self._database_url, settings=quiet) as dependencies:
            await install(dependencies)
            config = uvicorn.Config(
                create_app(dependencies), port=self.port, lifespan="off", log_config=None
            )
            config.load()
            self._server = server = uvicorn.Server(config)
            server.lifespan = config.lifespan_class(config)
            await server.startup()
            self.ready.set()
            await server.main_loop()
            await server.shutdown()

    def __enter__(self) -> str:
        self.start()
        assert self.ready.wait(20)
        return f"http://127.0.0.1:{self.port}"

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self.join(20)
