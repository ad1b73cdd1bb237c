"""Certificates and keys: TLS for the server, a key pair a site, and what a site signs to say that it takes part."""

import base64
import binascii
import datetime
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
    load_ssh_public_key,
)
from cryptography.x509.oid import NameOID

from core.storage import write_secret

SIGNED = "Takes part in the federation "


@dataclass(frozen=True)
class ServerFiles:
    """Where a server's certificate, its key, and the certificate that vouches for both lie."""

    authority: Path
    certificate: Path
    key: Path


def write_certificates(folder: Path, hosts: Sequence[str], days: int) -> ServerFiles:
    """Write an authority made for one server, and that server's certificate; the authority's key is kept nowhere.

    Parameters
    ----------
    folder : Path
        An empty one.
    hosts : sequence of str
        Names and addresses by which sites reach the server.
    days : int
        From now, for which the certificates hold.
    """
    authority, own = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Purescan federation")])
    root = _certificate(issuer, issuer, authority, authority, days, [], True)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    server = _certificate(subject, issuer, own, authority, days, hosts, False)
    files = ServerFiles(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    files.authority.write_bytes(root.public_bytes(Encoding.PEM))
    files.certificate.write_bytes(server.public_bytes(Encoding.PEM))
    write_secret(files.key, own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def write_site_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a new key pair, NAME and NAME.pub, for a site to prove who it is; return both paths."""
    private = ec.generate_private_key(ec.SECP384R1())
    secret, public = folder / name, folder / f"{name}.pub"
    write_secret(secret, private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    public.write_bytes(private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n")
    return secret, public


def read_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """A site's public key; ValueError, one sentence, where the file holds none."""
    try:
        key = load_ssh_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{path.name} holds no site's public key; `federate keys` makes them.") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError(f"{path.name} holds a key of another kind; `federate keys` makes the right ones.")
    return key


def read_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A site's own key; ValueError, one sentence, where the file holds none."""
    try:
        key = load_ssh_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{path.name} holds no site's private key; `federate keys` makes them.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path.name} holds a key of another kind; `federate keys` makes the right ones.")
    return key


def voucher(key: ec.EllipticCurvePrivateKey, federation: str) -> str:
    """What a site signs to say that it takes part in a federation."""
    return base64.b64encode(key.sign((SIGNED + federation).encode(), ec.ECDSA(hashes.SHA256()))).decode("ascii")


def known_partners(
    known: Iterable[ec.EllipticCurvePublicKey], vouchers: Sequence[str], federation: str, own: ec.EllipticCurvePublicKey
) -> int:
    """How many of the sites whose keys are known have signed that they take part; a site itself doesn't count.

    Parameters
    ----------
    known : iterable of public keys
        Of the partners, as they handed them over themselves.
    vouchers : sequence of str
        As the server passes them on.
    federation : str
        The federation's name.
    own : public key
        The site's own.
    """
    keys = {key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH): key for key in known}
    keys.pop(own.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH), None)
    return sum(any(_signed(key, each, federation) for each in vouchers) for key in keys.values())


def _signed(key: ec.EllipticCurvePublicKey, text: str, federation: str) -> bool:
    try:
        key.verify(base64.b64decode(text, validate=True), (SIGNED + federation).encode(), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    days: int,
    hosts: Sequence[str],
    authority: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if authority:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
