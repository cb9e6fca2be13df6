"""A pytest plugin: generated examples that fail are not made smaller, which would take most of the time here."""

from hypothesis import Phase, settings

settings.register_profile("unshrunk", phases=(Phase.explicit, Phase.generate), print_blob=False)
settings.load_profile("unshrunk")
