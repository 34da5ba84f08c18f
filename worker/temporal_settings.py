"""How Temporal is reached, under the names that Temporal's own SDKs and command line read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from worker.setting_values import HostAndPort, Names, Secret

if TYPE_CHECKING:
    from temporalio.envconfig import ClientConnectConfig


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


class TemporalSettings(BaseSettings):
    """The connection to Temporal; profiles in Temporal's configuration file are not read."""

    temporal_address: HostAndPort = Field(
        default="127.0.0.1:7233",
        validation_alias="TEMPORAL_ADDRESS",
        description="Temporal's frontend, as `host:port`.",
    )
    temporal_namespaces: Annotated[Names, AfterValidator(_each_once)] = Field(
        default=("default",),
        validation_alias="TEMPORAL_NAMESPACE",
        min_length=1,
        description="Namespaces that are served, separated by commas: their workflows are "
        "signalled, launched and controlled. Triggers that name none launch in the first.",
    )
    temporal_api_key: Secret | None = Field(
        default=None,
        validation_alias="TEMPORAL_API_KEY",
        description="API key; turns TLS on unless TEMPORAL_TLS says otherwise.",
    )
    temporal_tls: bool | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS",
        description="TLS on or off; unset: on with an API key or any other TLS setting.",
    )
    temporal_tls_server_name: str | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_SERVER_NAME",
        description="Server name to expect instead of the address's host.",
    )
    temporal_tls_server_ca_cert_path: Path | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_SERVER_CA_CERT_PATH",
        description="File with the certificate authority's certificate (PEM).",
    )
    temporal_tls_server_ca_cert_data: str | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_SERVER_CA_CERT_DATA",
        description="The certificate authority's certificate itself (PEM).",
    )
    temporal_tls_client_cert_path: Path | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_CLIENT_CERT_PATH",
        description="File with the client's certificate (PEM).",
    )
    temporal_tls_client_cert_data: str | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_CLIENT_CERT_DATA",
        description="The client's certificate itself (PEM).",
    )
    temporal_tls_client_key_path: Path | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_CLIENT_KEY_PATH",
        description="File with the client's private key (PEM).",
    )
    temporal_tls_client_key_data: Secret | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_CLIENT_KEY_DATA",
        description="The client's private key itself (PEM).",
    )

    @property
    def temporal_namespace(self) -> str:
        """The first namespace that is served: for all that names none."""
        return self.temporal_namespaces[0]

    def temporal_connection(self, namespace: str | None = None) -> ClientConnectConfig:
        """Keyword arguments for `temporalio.client.Client.connect`.

        Raises OSError when a certificate or key file cannot be read.
        """
        # Imported on use: the client loads a native library, which most commands never need.
        from temporalio.envconfig import ClientConfigProfile, ClientConfigTLS

        key = self.temporal_api_key
        key_data = self.temporal_tls_client_key_data
        tls = ClientConfigTLS(
            disabled=None if self.temporal_tls is None else not self.temporal_tls,
            server_name=self.temporal_tls_server_name,
            server_root_ca_cert=self.temporal_tls_server_ca_cert_data
            or self.temporal_tls_server_ca_cert_path,
            client_cert=self.temporal_tls_client_cert_data or self.temporal_tls_client_cert_path,
            client_private_key=key_data.get_secret_value()
            if key_data
            else self.temporal_tls_client_key_path,
        )
        return ClientConfigProfile(
            address=self.temporal_address,
            namespace=namespace or self.temporal_namespace,
            api_key=key.get_secret_value() if key else None,
            tls=tls if tls != ClientConfigTLS() else None,
        ).to_client_connect_config()
