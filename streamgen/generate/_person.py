"""People who do not exist, by Faker (an extra)."""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from streamgen.errors import MissingExtra
from streamgen.record import Value

if TYPE_CHECKING:
    from faker import Faker


class Persona(NamedTuple):
    """The people of a locale."""

    locale: str

    @staticmethod
    def check(locale: str, field: str) -> None:
        """Raise MissingExtra without Faker, ValueError for a locale that it does not have."""
        try:
            _faker(locale)
        except ModuleNotFoundError:
            raise MissingExtra(f"{field} (a person by Faker)", "faker") from None
        except AttributeError:
            raise ValueError(f'{field}: Faker has no locale {locale!r}; one that it has is "en_US"') from None

    def drawn(self, rng: Random) -> Value:
        """A person as an object: name, age, e-mail (of a reserved domain), job, city."""
        faker = _faker(self.locale)
        faker.seed_instance(rng.getrandbits(64))
        return {
            "name": f"{faker.first_name()} {faker.last_name()}",
            "age": faker.random_int(18, 90),
            "email": faker.ascii_safe_email(),
            "job": faker.job(),
            "city": faker.city(),
        }


@lru_cache(maxsize=16)
def _faker(locale: str) -> Faker:
    from faker import Faker

    return Faker(locale)
