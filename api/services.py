"""Everything a server is made of, wired once: register, vault, workers, staging, leases, crew."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import IO, Protocol, TypeVar, cast

import structlog
from starlette.requests import HTTPConnection

from api.home import Held, home_lock
from api.problems import SERVER_SWAP
from api.signin.door import Door
from api.signin.flow import Flows
from api.signin.limits import Limits
from api.signin.oidc import Provider
from api.signin.tally import Tally
from api.signin.tokens import Tokens
from infra import keeper
from infra.clock import Clock, system_clock
from infra.keys import KeyRing, Random
from infra.memory import pages
from infra.settings import Settings
from infra.tracing import Tracing
from infra.workers import Workers
from jobs.cells import CellRoom
from jobs.forgetting import Forgetting
from jobs.lane.keeper import Keeper
from jobs.mirror import close_lost
from jobs.office import Office
from jobs.order import Order
from jobs.products import Copies, Store
from jobs.products.gate import Gate
from jobs.products.renewal import Renewal
from jobs.products.tickets import Tickets
from jobs.queue import Crew, Leases
from jobs.quote import rehearse
from jobs.register import Register
from jobs.release import carry, resume
from jobs.reports.clock import Issuer
from jobs.staging import Staging
from jobs.sweep import Sweep
from jobs.watch.watcher import Watcher
from jobs.watermark.marks import Marks
from jobs.webhooks import Dispatcher
from sandbox.raw.open import open_vault
from sandbox.raw.run import Pool, warm

log = structlog.get_logger("yunei.server")
T = TypeVar("T")
WATCHING = 0.25  # of a core, for as long as there is something new to look through


class ClosablePool(Pool, Protocol):
    @property
    def there(self) -> bool: ...

    def close(self) -> None: ...


class Watch:
    """Wakes whoever waits for a job, without polling. Told from the crew's threads, awaited in the server's loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self.stopping = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def tell(self, job: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._wake, job)

    def _wake(self, job: str) -> None:
        for event in self._waiting.get(job, ()):
            event.set()

    def stop(self) -> None:
        """Let every long poll answer with what it knows: the server is going down."""
        self.stopping = True
        for job in list(self._waiting):
            self._wake(job)

    @contextlib.contextmanager
    def on(self, job: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the job comes to an end, or the server to its own."""
        event = asyncio.Event()
        self._waiting[job].add(event)
        try:
            yield event
        finally:
            self._waiting[job].discard(event)
            if not self._waiting[job]:
                del self._waiting[job]

    async def wait(self, event: asyncio.Event, timeout_s: float) -> None:
        """Return when the event is set or the time is over."""
        if not self.stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await event.wait()


class Services:
    """Open with `open`, `start` the workers, `close` at the end. Reading works as soon as it is open; jobs run once it is ready."""

    def __init__(
        self,
        settings: Settings,
        register: Register,
        key_ring: KeyRing,
        clock: Clock,
        random: Random,
        lock: IO[bytes] | None,
        ray: keeper.Begun | None = None,
    ) -> None:
        self.settings = settings
        self.register = register
        self.clock = clock
        self.random = random
        self.watch = Watch()
        self.ready = threading.Event()
        self.swappable = 0  # processes, of the server and its workers, when they were started
        self.tracing = Tracing.to(settings.otlp_endpoint)
        self.vault = open_vault(settings)
        place = hashlib.sha256(f"{socket.gethostname()}\n{settings.home}".encode()).hexdigest()[:16]
        self.leases = Leases(register.engine, clock, holder=f"{place}:{random(8).hex()}", lease_s=settings.lease_s)
        self.crew = Crew(self.leases, clock, lease_s=settings.lease_s)
        self.staging = Staging(settings.staging_dir, random)
        self.cells = CellRoom(settings, register, clock)
        self.copies = Copies(Store(settings.products_dir, random), staging=self.staging)
        self.marks = self.copies.mark = Marks(key_ring, self.copies)
        self.webhooks = Dispatcher(register)
        self.renewal = Renewal(lambda: self.office, self.copies, self.submit, interval_s=settings.renewal_interval_s)
        self.gate = Gate(register, self.copies, clock)
        self.tickets = Tickets(key_ring, clock, lifetime_s=settings.ticket_s)
        self.keeper = Keeper(lambda: self.office, interval_s=settings.review_sweep_s)
        self.issuer = Issuer(register, interval_s=settings.report_interval_s)
        self.sweep = Sweep(register, self.ended, interval_s=settings.licence_sweep_s)
        self.forgetting = Forgetting(register, self.vault, lambda: self._workers)
        hours = settings.audit_interval_h
        self.watcher = Watcher(register, interval_s=settings.alert_interval_s, audit_interval_h=hours, share=WATCHING)
        tokens = Tokens(key_ring, clock, random, name=settings.log_origin, lifetime_s=settings.token_s, generation=settings.token_generation)
        limits = Limits(register.engine, clock, settings)
        self.tally = Tally(register, clock, settings.refusals_window_s, limits.sweep)
        self.door = Door(settings, register, clock, tokens, limits, self.tally)
        self.provider = Provider(settings, clock)
        self.flows = Flows(register.engine, key_ring, clock, random)
        self._key_ring = key_ring
        self._lock, self._ray = lock, ray
        self._workers: ClosablePool | None = None
        self._office: Office | None = None
        self._rehearsal = threading.Thread(target=_rehearsed, name="rehearsal")
        if lock is not None:
            self.leases.void(place)
            self.staging.sweep()

    @classmethod
    def open(
        cls, settings: Settings, *, serving: bool = False, held: Held | None = None, clock: Clock = system_clock, random: Random = os.urandom
    ) -> Services:
        """Register, keys and vault of a home, made when they are not there. `serving` takes the home's lock: one server at a time, so that
        what an earlier one left is known to be left. HOME_SERVED when another has it. `held`: what was taken hold of already."""
        lock = held.lock if held is not None else home_lock(settings.home) if serving else None
        register = Register.open(settings, clock, random)
        key_ring = KeyRing.open_or_create(settings.keys_dir, random, master=settings.master_keys == "folder")
        return cls(settings, register, key_ring, clock, random, lock, held.ray if held is not None else None)

    def start(self, workers: ClosablePool | None = None) -> None:
        """Start the workers (about ten seconds with Ray; `workers` given: use those), warm them, take up abandoned jobs, be ready. What a
        first job needs is rehearsed then."""
        settings = self.settings
        asking = threading.Thread(target=self.register.witnesses.round, name="witnesses-first")
        probing = threading.Thread(target=self.cells.warm, name="cells-probe", daemon=True)
        probing.start()  # seconds; a run that comes earlier waits for it
        asking.start()  # a register restored from an older copy is found before it takes work
        self._workers = workers or _workers(settings, self._ray)
        warm(self._workers)
        self._look_at_pages(self._workers)
        asking.join()
        self.register.require_sound()
        self.forgetting.once()
        self.register.witnesses.start()
        self.tally.start()
        close_lost(self.register)
        office = self.office
        self.crew.start(lambda job: resume(office, job))
        self.sweep.start()
        self.webhooks.start()
        self.renewal.start()
        self.keeper.start()
        self.issuer.start()
        self.watcher.start()
        self.forgetting.start()
        self.ready.set()
        self._rehearsal.start()  # a job that comes meanwhile waits no longer than it would have for a server that rehearses first

    def _look_at_pages(self, workers: ClosablePool) -> None:
        """Raises server_swap_in_plaintext where the settings do not put up with it."""
        found = [pages(), *workers.stream(pages, range(workers.size))]
        self.swappable = found.count("swappable")
        if self.swappable and self.settings.refuse_swap:
            raise SERVER_SWAP(count=self.swappable)
        if self.swappable:
            log.warning("pages_swappable", processes=self.swappable)

    @property
    def degraded(self) -> bool:
        """Whether the workers have gone away. Jobs are taken and wait until they are back."""
        return self._workers is not None and not self._workers.there

    def ended(self, jobs: Iterable[str]) -> None:
        """These jobs were cancelled by an act of the bureau or by the end of a licence: whoever waits for them is told."""
        for job in jobs:
            self.watch.tell(job)

    @property
    def office(self) -> Office:
        """What the walk needs. Before `start` it has no workers: good for asking, checking and dummy runs."""
        if self._office is None or (self._office.workers is not self._workers and self._workers is not None):
            self._office = Office(
                settings=self.settings,
                clock=self.clock,
                random=self.random,
                register=self.register,
                key_ring=self._key_ring,
                vault=self.vault,
                workers=cast(Pool, self._workers),
                cells=self.cells,
                staging=self.staging,
                leases=self.leases,
                crew=self.crew,
                tracing=self.tracing,
                done=self._over,
            )
        return self._office

    def _over(self, job: str) -> None:
        self.watch.tell(job)
        self.crew.over(job)

    def submit(self, order: Order) -> Future[str]:
        """Hand an order to the crew. The future is the job's id, or the problem it was refused with. Stopping when going down."""
        return self.submit_and(order, str)

    def submit_and(self, order: Order, look: Callable[[str], T]) -> Future[T]:
        """`submit`, for what `look` says of the job by its id. It is asked by the thread that carries the job, before that goes on: another one
        would have to contend with it for the interpreter while somebody waits for the answer."""
        told: Future[T] = Future()
        told.set_running_or_notify_cancel()

        def tell(job: str) -> None:
            try:
                told.set_result(look(job))
            except Exception as error:  # the job goes on, whoever asked
                told.set_exception(error)

        office = self.office
        self.crew.carry(order.by.id, lambda: carry(office, order, tell, told.set_exception))
        return told

    def stopping(self) -> None:
        """The server is told to stop: long polls answer with what they know, no job is taken."""
        self.watch.stop()
        self.crew.stop()

    def close(self) -> None:
        """Graceful: no new jobs, those under way stop at their next step and stay resumable."""
        self.stopping()
        self.keeper.stop()
        self.issuer.stop()
        self.watcher.stop()
        self.sweep.stop()
        self.webhooks.stop()
        self.renewal.stop()
        if self._workers is not None:
            self._workers.close()
        self.forgetting.stop()  # after the workers: while they are away it may be waiting for them
        self.crew.close()
        if self._rehearsal.ident is not None:
            self._rehearsal.join()
        self.tracing.close()
        self.tally.stop()
        self.register.close()
        if self._lock is not None:
            self._lock.close()


def _rehearsed() -> None:
    try:
        rehearse()
    except Exception as error:  # jobs will say what is wrong, in words; nothing of this one is anybody's
        log.error("not_rehearsed", error=type(error).__name__)


def _workers(settings: Settings, ray: keeper.Begun | None) -> Workers:
    """Those of a cluster, or of the home's own Ray."""
    if settings.ray_address is not None:
        return Workers.cluster(
            settings.ray_address,
            token=settings.ray_token_file,
            certificates=settings.ray_certificates_dir,
            places=settings.places,
            homes=settings.homes,
            memory_bytes=settings.worker_memory_bytes,
            shard_bytes=settings.shard_memory_bytes,
            wall_s=settings.shard_wall_s,
            patience_s=settings.straggler_s,
        )
    return keeper.workers(
        settings.ray_dir,
        workers=settings.workers,
        memory_bytes=settings.worker_memory_bytes,
        object_store_bytes=settings.object_store_bytes,
        linger_s=settings.ray_linger_s,
        shard_bytes=settings.shard_memory_bytes,
        wall_s=settings.shard_wall_s,
        patience_s=settings.straggler_s,
        begun=ray,
    )


def services_of(connection: HTTPConnection) -> Services:
    return cast(Services, connection.app.state.services)
