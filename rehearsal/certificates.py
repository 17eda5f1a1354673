"""The rehearsal's certificate authority, and the certificates of its databases and caches."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import state

SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_DAYS = 365


# Who signs for the rehearsed RDS: an authority that no client knows of itself, as Amazon's.
RDS = "rds-ca"


def authority(called: str = "ca") -> Path:
    """An authority's certificate, made where it is missing: by default of the one that stands for those that everybody trusts."""
    path = state.folder("certificates") / f"{called}.pem"
    if not path.is_file():
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, "Berth's rehearsal" if called == "ca" else f"Berth's rehearsal {called}")]
        )
        builder = _builder(name, name, key, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(authority=True), critical=True)
        _write_key(path.with_suffix(".key"), key)
        path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


def bundle() -> Path:
    """The authorities that this machine trusts, and the rehearsal's own: what containers of the rehearsal trust."""
    path = authority().with_name("bundle.pem")
    if not path.is_file():
        own = authority().read_bytes()
        path.write_bytes((SYSTEM_BUNDLE.read_bytes() if SYSTEM_BUNDLE.is_file() else b"") + own)
        path.chmod(0o644)
    return path


def issue(host: str, addresses: list[str], *, named: bool = False, by: str = "ca") -> tuple[bytes, bytes]:
    """A certificate for a host name and IP addresses (``named``: further host names), and its private key, both PEM. ``by``: the authority."""
    ca = x509.load_pem_x509_certificate(authority(by).read_bytes())
    ca_key = serialization.load_pem_private_key(authority(by).with_suffix(".key").read_bytes(), password=None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    # Names of AWS's endpoints exceed the 64 characters of a common name; clients read the alternative names.
    builder = _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])]), ca.subject, key, ca_key)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(authority=False), critical=True)
    # The nodes of a cluster are one another's clients too.
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    names: list[x509.GeneralName] = [x509.DNSName(host), x509.DNSName("localhost")]
    names += [x509.DNSName(each) if named else x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
    names += [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), _pem(key)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=_DAYS))
    # Strict clients, such as Python's from 3.13 on, ask for both.
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(_pem(key))
