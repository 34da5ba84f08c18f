"""How single settings are written: durations, sizes, lists, server addresses."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator, PlainSerializer, SecretStr
from pydantic_settings import NoDecode

from worker.redaction import redact_urls

UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
LONGEST: Final = timedelta(days=36_500)
"""A hundred years: added to any date, it is still one to Postgres and to Python."""
ONE_PART: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)", re.ASCII)
WHOLE: Final = re.compile(rf"(?:{ONE_PART.pattern})+", re.ASCII)

SIZES: Final = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}
SIZE: Final = re.compile(r"(\d{1,12})\s*([A-Za-z]*)", re.ASCII)

HOST_AND_PORT: Final = re.compile(r"(?:[^\s/:\[\]]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}", re.ASCII)


def parse_duration(text: object) -> timedelta:
    """`30s`, `5m`, `1h30m`, `500ms`, `7d` or `0s`; a bare number is refused, it hides its unit.

    Raises ValueError saying how a duration is written.
    """
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not WHOLE.fullmatch(text.strip().replace(" ", "")):
        raise ValueError("expected a duration with its unit, such as 500ms, 30s, 5m, 1h30m or 7d")
    parts = ONE_PART.findall(text.replace(" ", ""))
    try:
        duration = sum((float(number) * UNITS[unit] for number, unit in parts), timedelta())
    except OverflowError:
        duration = timedelta.max
    if duration > LONGEST:
        raise ValueError(f"expected a duration of at most {LONGEST.days}d")
    return duration


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back as the same duration."""
    rest = round(duration / UNITS["ms"])
    words: list[str] = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, round(UNITS[unit] / UNITS["ms"]))
        if count:
            words.append(f"{count}{unit}")
    return "".join(words) or "0s"


def parse_size(text: object) -> int:
    """A number of bytes, as a bare number or with a unit: `512KiB`, `8MiB`, `1MB`."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    found = SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    factor = SIZES.get(found[2].upper()) if found else None
    if found is None or factor is None:
        raise ValueError("expected a size in bytes, such as 1048576, 512KiB or 8MiB")
    return int(found[1]) * factor


def format_size(size: int) -> str:
    """The shortest exact text for a number of bytes."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def split_list(text: object) -> object:
    """The parts between commas, trimmed, without the empty ones; anything but text is kept."""
    if not isinstance(text, str):
        return text
    return tuple(part.strip() for part in text.split(",") if part.strip())


def format_list(parts: Any) -> str:
    """What `split_list` takes apart."""
    return ",".join(parts)


def server_url(*schemes: str) -> Callable[[object], object]:
    """A check that an address is a URL of one of these schemes, and names nothing of its value."""
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)

    def check(value: object) -> object:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        try:
            address = urlsplit(str(text).strip())
            # Reading the port raises when it is not a number.
            usable = address.scheme in schemes and address.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError(f"expected an address beginning with {wanted}")
        return str(text).strip()

    return check


def host_and_port(value: object) -> object:
    """A check for `host:port`, the host a name or an address (IPv6 within brackets)."""
    if not isinstance(value, str) or not HOST_AND_PORT.fullmatch(value.strip()):
        raise ValueError("expected host:port, such as 127.0.0.1:7233")
    return value.strip()


def format_secret(secret: SecretStr) -> str:
    """An address without its password; nothing at all of a secret that is no address."""
    text = secret.get_secret_value()
    return redact_urls(text) if "://" in text else "(hidden)"


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration)]
Size = Annotated[int, BeforeValidator(parse_size), PlainSerializer(format_size)]
Names = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(split_list), PlainSerializer(format_list)
]
RedisUrl = Annotated[
    SecretStr,
    BeforeValidator(server_url("redis", "rediss", "unix")),
    PlainSerializer(format_secret),
]
DatabaseUrl = Annotated[
    SecretStr,
    BeforeValidator(server_url("postgresql", "postgres")),
    PlainSerializer(format_secret),
]
HostAndPort = Annotated[str, BeforeValidator(host_and_port)]
Secret = Annotated[SecretStr, PlainSerializer(format_secret)]
