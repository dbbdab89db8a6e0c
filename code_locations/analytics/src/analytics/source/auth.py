"""What a source knows the platform by: a header, a bearer's token, a user's password or a parameter of the address.

Every secret is a variable's value, read when a run starts.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field

from analytics.source.client import usable_key
from terrane.errors import Permanent


@dataclass(frozen=True)
class Credentials:
    """What goes with each request to the source's own host, and what messages must not hold.

    Attributes:
        headers, parameters: by name, the secret in them.
        secrets: the values that no message may repeat.
        variables: where they are from, for a message that says what to set.
    """

    headers: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()

    def hide(self, text: str) -> str:
        """The text without the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def bearer(variable: str) -> Credentials:
    """`Authorization: Bearer <the variable's value>`."""
    secret = read(variable)
    return Credentials({"Authorization": f"Bearer {secret}"}, secrets=(secret,), variables=(variable,))


def header(name: str, variable: str) -> Credentials:
    """A header of that name."""
    secret = read(variable)
    return Credentials({name: secret}, secrets=(secret,), variables=(variable,))


def query(name: str, variable: str) -> Credentials:
    """A parameter of the address. It stands in the source's own logs; where it takes a header, that is better."""
    secret = read(variable)
    return Credentials(parameters={name: secret}, secrets=(secret,), variables=(variable,))


def basic(user: str, password: str) -> Credentials:
    """A user and a password, both variables."""
    named, secret = read(user), read(password)
    code = base64.b64encode(f"{named}:{secret}".encode()).decode()
    return Credentials({"Authorization": f"Basic {code}"}, secrets=(secret, code), variables=(user, password))


def read(variable: str) -> str:
    """The variable's value. Raises Permanent, without the value, where it is not set or no request can carry it."""
    if variable not in os.environ:
        raise Permanent(
            f"{variable} is not set; declare it among the variables of location.yaml with `secret: true`, set it, and "
            "restart what runs the location"
        )
    return usable_key(os.environ[variable], variable)
