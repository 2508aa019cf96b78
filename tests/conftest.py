"""What all tests share."""

from hypothesis import settings

# Time limits of single examples would make a busy machine a failing test.
settings.register_profile("calm", deadline=None, print_blob=True)
settings.load_profile("calm")
