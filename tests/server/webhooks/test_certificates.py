"""Over TLS it is the name that a certificate must be of, although an address is connected to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.webhooks.destinations import read_destination
from server.webhooks.networks import Networks
from server.webhooks.posting import Answer, Poster
from tests.support.receiver import OK

LOOPBACK = Networks(("127.0.0.0/8",), ("127.0.0.0/8",))


def certificate(folder: Path, name: str) -> Path:
    """One that vouches for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@asynccontextmanager
async def listening(file: Path) -> AsyncIterator[tuple[int, list[str | None]]]:
    """A port that answers over TLS, and the names that it was asked for."""
    names: list[str | None] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], names


async def asked(port: int, trusted: Path | None) -> Answer:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    context = ssl.create_default_context(cafile=None if trusted is None else str(trusted))
    poster = Poster(resolve, total_timeout_s=5, verify=lambda: context)
    to = read_destination(f"https://hooks.example.com:{port}/")
    return await poster.post(to, {}, b"{}", LOOPBACK)


async def test_a_receiver_proves_its_name(tmp_path: Path) -> None:
    file = certificate(tmp_path, "hooks.example.com")
    async with listening(file) as (port, names):
        assert (await asked(port, file)).status == 200
        assert names == ["hooks.example.com"]


@pytest.mark.parametrize(
    ("name", "trusted"), [("other.example", True), ("hooks.example.com", False)]
)
async def test_one_that_does_not_is_told_nothing(tmp_path: Path, name: str, trusted: bool) -> None:
    file = certificate(tmp_path, name)
    async with listening(file) as (port, _):
        answer = await asked(port, file if trusted else None)
    assert (answer.status, answer.error) == (None, "its certificate is not trusted")
