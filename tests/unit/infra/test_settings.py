"""Settings: where they come from, what is refused, and that each says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from infra.settings import Settings


def test_settings_come_from_the_environment_and_home_from_the_caller() -> None:
    settings = Settings.load(Path("there"), {"YUNEI_HOME": "elsewhere", "YUNEI_PORT": "9000", "YUNEI_SLOTS_MS": "10,20", "PATH": "x"})
    assert settings.home == Path.cwd() / "there"
    assert (settings.port, settings.slots_ms) == (9000, (10, 20))
    assert settings.database_url == f"sqlite:///{Path.cwd()}/there/register.db"
    assert settings.log_dir == settings.home / "log"


def test_without_any_the_home_is_a_folder_here() -> None:
    settings = Settings.load(environment={})
    assert settings.home == Path.cwd() / "yunei-home"
    assert settings.keys_dir.parent == settings.vault_dir.parent == settings.staging_dir.parent == settings.home


def test_a_database_named_is_kept() -> None:
    assert Settings.load(environment={"YUNEI_DATABASE_URL": "postgresql+psycopg://h/db"}).database_url == "postgresql+psycopg://h/db"


@pytest.mark.parametrize(
    "variables",
    [
        {"YUNEI_PROT": "9000"},  # a slip of the fingers
        {"YUNEI_PORT": "70000"},
        {"YUNEI_PORT": "x"},
        {"YUNEI_SLOTS_MS": "20,10"},
        {"YUNEI_SLOTS_MS": ""},
        {"YUNEI_LOG_ORIGIN": "two words"},
        {"YUNEI_LOG_ORIGIN": "a+b"},
        {"YUNEI_WORKERS": "0"},
        {"YUNEI_POPULATION_CAP_PICO_RHO": "-1"},
    ],
)
def test_what_cannot_be_meant_is_refused(variables: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Settings.load(environment=variables)


def test_the_clients_variables_are_left_alone() -> None:
    Settings.load(environment={"YUNEI_URL": "http://localhost", "YUNEI_KEY": "yk_a_b"})


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if len(field.description or "") < 20] == []


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings(home=Path("x")).port = 1  # type: ignore[misc]  # what is tested
