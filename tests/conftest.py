"""What tests of several rooms share: real workers, started once, and a vault that lasts for one test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, settings

from infra.vault import Vault
from infra.workers import InlineWorkers, Workers
from tests.bureau import Home, set_up
from tests.guard import Watch, files, logs_put_back
from tests.postgres import Postgres, a_postgres
from tests.registers import prepare
from tests.sharing import Order
from tests.softhsm import tokens_in

MASTER_KEY = bytes(range(32))
ROOT = Path(__file__).parents[1]
WATCH = Watch()
ALONE = (
    "tests/cluster/",
    "tests/crash/test_keeper.py",
    "tests/crash/test_ray_ends.py",
    "tests/crash/test_ray_lost.py",
    "tests/e2e/test_demo.py",
    "tests/e2e/test_serve.py",
    "tests/unit/infra/test_workers.py",
)
"""Start Rays of their own. Ray gives its processes 15 s to come up, which two cores may not have for two Rays and a browser at once:
`make test` runs these one after the other, and lets the rest wait for them (tests/__main__.py)."""


def pytest_configure(config: pytest.Config) -> None:
    """Hypothesis takes its time on a busy machine, and what it found on this one before is not looked at: a run is what SEED makes it."""
    settings.register_profile("here", deadline=None, database=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("here")
    config.pluginmanager.register(Order())
    if config.pluginmanager.hasplugin("tests.guard"):
        config.pluginmanager.register(WATCH)  # as a plugin of its own it hears of fixtures of the session too


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A run of these, or of all but these, need not import the other files to find out that it does not want them."""
    wanted = {"alone": True, "not alone": False}.get(config.option.markexpr)
    if wanted is None or not collection_path.name.startswith("test_"):
        return None
    return None if _alone(collection_path) is wanted else True


def _alone(path: Path) -> bool:
    return path.relative_to(ROOT).as_posix().startswith(ALONE)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _alone(item.path):
            item.add_marker("alone")


@pytest.fixture(scope="module", autouse=True)
def left_as_found(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a file does to logs is put back. Whatever else it changes for all, it has to put back itself; `-p tests.guard` looks."""
    looks = request.config.pluginmanager.hasplugin("tests.guard")
    if looks:
        WATCH.begin()
    with logs_put_back():
        yield
    if looks and (changed := WATCH.changed()):
        pytest.fail(f"{request.path.relative_to(ROOT)} leaves behind, for whatever file comes next:\n" + "\n".join(changed), pytrace=False)


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Two real Ray workers. Starting takes about ten seconds, so everyone shares them: kill none that you do not give back."""
    pool = Workers.start(workers=2, memory_bytes=64 * 2**20, object_store_bytes=80 * 2**20)
    yield pool
    pool.close()


@pytest.fixture
def inline_workers() -> InlineWorkers:
    return InlineWorkers(64 * 2**20)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault", MASTER_KEY)


@pytest.fixture
def other_vault(tmp_path: Path) -> Vault:
    """A vault of another owner."""
    return Vault(tmp_path / "other", os.urandom(32))


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Labels of fresh PKCS#11 tokens, for `next`: one for each test that wants one."""
    return tokens_in(tmp_path_factory.mktemp("softhsm"), 24)


@pytest.fixture(scope="session")
def bureau_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with data, a licence and keys, made once; tests work on copies."""
    folder = tmp_path_factory.mktemp("bureau") / "home"
    home = Home(folder, MappingProxyType(set_up(folder)))
    WATCH.share("bureau_home", lambda: {"keys": dict(home.keys), **files(folder)})
    return home


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, started when the first test asks for it. Stop it only if you start it again."""
    with a_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind, with the tables of a register in which nothing has happened yet."""
    if request.param == "sqlite":
        prepare(tmp_path / "register.db")
        return f"sqlite:///{tmp_path / 'register.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.register()
