"""A farm beside code that is not asynchronous: in a thread with an event loop of its own."""

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from ingest.cameras.farm import CameraSpec, Farm, FarmOptions
from ingest.cameras.faults import FaultKind


class BackgroundFarm:
    """Runs cameras while its context lasts; raises what `Farm` raises."""

    def __init__(self, cameras: list[CameraSpec], options: FarmOptions | None = None) -> None:
        self._farm = Farm(cameras, options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cameras", daemon=True)

    @property
    def urls(self) -> dict[str, str]:
        """Address of each camera by name, with the login in it."""
        return self._farm.urls

    def accepted(self, camera: str) -> int:
        """As `Farm.accepted`."""
        return self._farm.accepted(camera)

    def now_us(self) -> int:
        """The cameras' own time (UTC, microseconds)."""
        return self._farm.now_us()

    def fault(
        self,
        camera: str,
        kind: FaultKind,
        *,
        value: float = 0.0,
        after_s: float = 0.0,
        seconds: float | None = None,
    ) -> None:
        """As `Farm.fault`."""
        self._call(self._farm.fault(camera, kind, value=value, after_s=after_s, seconds=seconds))

    def mend(self, camera: str) -> None:
        """As `Farm.mend`."""
        self._call(self._farm.mend(camera))

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._call(self._farm.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._call(self._farm.stop())
        finally:
            self._end()

    def _call(self, work: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
