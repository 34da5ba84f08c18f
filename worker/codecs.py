"""The codec of each namespace, as the settings name it: an entry point, or a codec server."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final

from worker.codec_settings import ANY, NONE
from worker.operator_error import OperatorError
from worker.settings import PREFIX, Settings

if TYPE_CHECKING:  # imported on use: most processes have no codec
    from temporalio.converter import DataConverter, PayloadCodec

    from routing.remote_codec import RemoteCodec

GROUP: Final = "pointsman.codecs"
PAGE: Final = "docs/encryption.md"


class CodecUnusable(OperatorError):
    """The configured codec cannot be loaded: install it, or correct the setting's name."""


class Codecs:
    """Makes each namespace's codec once, and closes them all at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, PayloadCodec | None] = {}
        self._remote: list[RemoteCodec] = []

    def of(self, namespace: str) -> PayloadCodec | None:
        """The namespace's codec; None without one. Raises CodecUnusable."""
        if namespace not in self._made:
            self._made[namespace] = self._make(namespace)
        return self._made[namespace]

    def converter(self, namespace: str, *, serving: bool = False) -> DataConverter:
        """The data converter of a client of that namespace; raises CodecUnusable.

        `serving` is said by the worker that serves the activities.
        """
        from temporalio.converter import default

        converter = default()
        if serving:
            from worker.activity_arguments import RawArguments

            converter = replace(converter, payload_converter_class=RawArguments)
        codec = self.of(namespace)
        if codec is None:
            return converter
        from routing.payload_codec import ArgumentCodec, CodecTerms, GuardedCodec

        terms = CodecTerms(self._settings.codec_timeout, encodes=self._settings.codec_encode)
        guarded = (ArgumentCodec if serving else GuardedCodec)(codec, terms)
        return replace(converter, payload_codec=guarded)

    async def aclose(self) -> None:
        """Close what is connected to codec servers."""
        for codec in self._remote:
            await codec.aclose()

    def _make(self, namespace: str) -> PayloadCodec | None:
        settings = self._settings
        name = _chosen(settings.codec, namespace)
        endpoint = _chosen(settings.temporal_codec_endpoint, namespace)
        if name is not None and endpoint is not None:
            raise CodecUnusable(
                f"namespace {namespace} has a codec by {PREFIX}CODEC and one by "
                f"TEMPORAL_CODEC_ENDPOINT: set one of them to {namespace}={NONE}; see {PAGE}"
            )
        if name is not None:
            return codec_by_name(name, namespace)
        if endpoint is None:
            return None
        from routing.remote_codec import RemoteCodec

        remote = RemoteCodec(
            endpoint, namespace, settings.codec_headers_sent(), settings.codec_timeout
        )
        self._remote.append(remote)
        return remote


def codec_by_name(name: str, namespace: str) -> PayloadCodec:
    """What the entry point gives: a codec, or what makes one. Raises CodecUnusable."""
    from temporalio.converter import PayloadCodec

    found = entry_points(group=GROUP)
    point = next((each for each in found if each.name == name), None)
    if point is None:
        installed = ", ".join(sorted(each.name for each in found)) or "none"
        raise CodecUnusable(
            f"{PREFIX}CODEC names {name!r}, and no installed package has an entry point of that "
            f"name in the group {GROUP}; installed: {installed}; see {PAGE}"
        )
    try:
        codec = _given(point, namespace)
    except Exception as error:
        raise CodecUnusable(
            f"codec {name!r} ({point.value}) of namespace {namespace} cannot be made: "
            f"{type(error).__name__}: {error}; see {PAGE}"
        ) from error
    if not isinstance(codec, PayloadCodec):
        raise CodecUnusable(
            f"codec {name!r} ({point.value}) is a {type(codec).__name__} and no "
            f"temporalio.converter.PayloadCodec; see {PAGE}"
        )
    return codec


def _given(point: EntryPoint, namespace: str) -> Any:
    from temporalio.converter import PayloadCodec

    loaded = point.load()
    if isinstance(loaded, PayloadCodec) or not callable(loaded):
        return loaded
    wants = inspect.signature(loaded).parameters
    return loaded(namespace=namespace) if "namespace" in wants else loaded()


def _chosen(by_namespace: Mapping[str, str], namespace: str) -> str | None:
    value = by_namespace.get(namespace, by_namespace.get(ANY))
    return None if value == NONE else value
