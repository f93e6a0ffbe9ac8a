"""A self-signed certificate for a server that was given none.

ECDSA P-256, because a real osqueryd shakes hands anew for every request.
"""

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app.clock import utc_now

VALID_DAYS = 397
RENEW_DAYS = 30


def ensure_certificate(folder: Path, hostnames: tuple[str, ...]) -> tuple[Path, Path]:
    """Certificate and key (0600) in a folder (0700), made anew when missing, near their end or for other names."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not (certificate.exists() and key.exists() and _is_good(certificate, hostnames)):
        _make(certificate, key, hostnames)
    return certificate, key


def _is_good(path: Path, hostnames: tuple[str, ...]) -> bool:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    lasts = certificate.not_valid_after_utc > utc_now() + timedelta(days=RENEW_DAYS)
    return lasts and set(names) == set(_names(hostnames))


def _make(certificate: Path, key: Path, hostnames: tuple[str, ...]) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, secret, 0o600)
    _write(certificate, _signed(private, hostnames).public_bytes(serialization.Encoding.PEM), 0o644)


def _signed(private: ec.EllipticCurvePrivateKey, hostnames: tuple[str, ...]) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Portbook on {hostnames[0]}"[:64])])
    now = utc_now()
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    builder = x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=VALID_DAYS))
    builder = builder.add_extension(x509.SubjectAlternativeName(_names(hostnames)), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.add_extension(usage, critical=False).sign(private, hashes.SHA256())


def _names(hostnames: tuple[str, ...]) -> list[x509.GeneralName]:
    return [_name(hostname) for hostname in hostnames]


def _name(hostname: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(hostname))
    except ValueError:
        return x509.DNSName(hostname)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, and never readable to others for a moment."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=mode, exist_ok=False)
    partial.write_bytes(content)
    partial.replace(path)
