"""The model behind a bounded queue: one thread that loads it and then answers, one recording after another."""

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from lung_srad.errors import message
from lung_srad.serving.decoding import Decoder
from lung_srad.serving.limits import GoneError, Limits, RefusedError, stopping

if TYPE_CHECKING:
    from lung_srad.inference import Model

Job = Callable[["Model", "Watch"], Any]


class Watch:
    """Goes with a recording while it is heard: how far that is, and whether anybody still waits."""

    def __init__(self) -> None:
        self.seconds, self.of, self._stopped = 0.0, math.inf, threading.Event()

    def __call__(self, seconds: float, of: float) -> None:
        """Takes note of how much was heard.

        Raises:
            GoneError: nobody waits.
        """
        self.seconds, self.of = seconds, of
        if self._stopped.is_set():
            raise GoneError

    def stop(self) -> None:
        """Makes the next call raise."""
        self._stopped.set()


class Desk:
    """Where requests queue.

    Args:
        source: of the model, as :func:`lung_srad.inference.load` takes it.
        limits: how many may wait.
        threads: CPU threads of torch; by default its choice.

    Attributes:
        decoder: opens uploads, for jobs alone.
    """

    def __init__(self, source: str, limits: Limits, threads: int | None = None, decoder: Decoder | None = None) -> None:
        self._source, self._limits, self._threads = source, limits, threads
        self.decoder = decoder or Decoder()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="lung-srad-desk")
        self._lock, self._waiting, self._pace, self._stopping = threading.Lock(), 0, 1.0, False
        self._refused = 0.0  # of late: halved with every answer
        self._futures: set[Future[Any]] = set()
        self.loading = self._pool.submit(self._load)

    @property
    def waiting(self) -> int:
        """How many requests have an answer coming."""
        return self._waiting

    @property
    def model(self) -> "Model | None":
        """The model, once it is loaded."""
        return self.loading.result() if self.loading.done() and not self.loading.exception() else None

    def require_room(self) -> None:
        """Returns nothing; refuses where nobody more may wait, before a body is read.

        Raises:
            RefusedError: 503, with the time after which it is worth asking again.
        """
        if self._stopping:
            raise stopping()
        if self._waiting >= self._limits.waiting:
            self._refused += 1
            seconds = min(60, max(1, math.ceil(self._pace * (self._waiting + self._refused) / 2)))
            text = message("the queue", f"{self._waiting} wait", f"up to {self._limits.waiting}", f"ask in {seconds} s")
            raise RefusedError(503, text, _after(seconds))

    def begin(self, job: Job, release: Callable[[], None]) -> "tuple[Future[Any], Watch]":
        """Returns what the answer will be, and what stops it; ``release`` is called once, however it ends.

        Raises:
            RefusedError: 503, the queue is full.
        """
        watch = Watch()
        with self._lock:
            try:
                self.require_room()
            except RefusedError:
                release()
                raise
            self._waiting += 1
        future = self._pool.submit(self._answer, job, watch)
        self._futures.add(future)
        future.add_done_callback(lambda ended: self._ended(ended, release))
        return future, watch

    def refuse_waiting(self) -> None:
        """Refuses what has not begun; the answer that is being made is finished."""
        self._stopping = True
        for future in tuple(self._futures):
            future.cancel()

    def close(self) -> None:
        """Ends the thread, and the process that decodes."""
        self.refuse_waiting()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.decoder.close()

    def _load(self) -> "Model":
        import torch

        from lung_srad.inference import load

        if self._threads is not None:
            torch.set_num_threads(self._threads)
        return load(self._source)

    def _answer(self, job: Job, watch: Watch) -> Any:
        watch(0.0, math.inf)
        begun = time.monotonic()
        try:
            return job(self.loading.result(), watch)
        finally:
            self._pace = 0.8 * self._pace + 0.2 * (time.monotonic() - begun)
            self._refused /= 2

    def _ended(self, future: "Future[Any]", release: Callable[[], None]) -> None:
        with self._lock:
            self._waiting -= 1
            self._futures.discard(future)
        release()


async def wait_for(future: "Future[Any]", watch: Watch, receive: Callable[[], Any]) -> Any:
    """Returns the answer, or gives it up when the client leaves.

    Raises:
        GoneError: the client left.
        RefusedError: 503, the service stopped before its turn.
        LungSradError: the recording cannot be used.
    """
    left, answer = asyncio.ensure_future(_left(receive)), _watched(future)
    try:
        await asyncio.wait({left, answer}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise GoneError
        return answered(future)
    finally:
        left.cancel()
        give_up(future, watch)


async def follow(future: "Future[Any]", watch: Watch, *, every: float = 0.5) -> AsyncIterator[float]:
    """Yields how much of the recording was heard, from 0 to 1, until the answer is there; gives it up when closed."""
    answer = _watched(future)
    try:
        while not (await asyncio.wait({answer}, timeout=every))[0]:
            yield min(1.0, watch.seconds / watch.of)
    finally:
        give_up(future, watch)


def _watched(future: "Future[Any]") -> "asyncio.Future[Any]":
    """Returns what ends with a job; its outcome is read from the job itself."""
    answer = asyncio.wrap_future(future)
    answer.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return answer


def give_up(future: "Future[Any]", watch: Watch) -> None:
    """Stops what was not finished."""
    watch.stop()
    future.cancel()


def answered(future: "Future[Any]") -> Any:
    """Returns what a finished job returned.

    Raises:
        RefusedError: 503, it was refused because the service stops.
    """
    try:
        return future.result()
    except CancelledError as error:
        raise stopping() from error


async def _left(receive: Callable[[], Any]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}
