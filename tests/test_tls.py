from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from app import tls
from app.clock import utc_now
from app.tls import ensure_certificate

NAMES = ("portbook.test", "192.0.2.10")


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_it_is_made_for_the_names_with_a_key_that_nobody_else_reads(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path / "tls", NAMES)
    names = load(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["portbook.test"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("192.0.2.10")]
    assert isinstance(load(certificate).public_key(), ec.EllipticCurvePublicKey)
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700


def test_a_good_one_is_kept_so_that_agents_need_no_new_one(tmp_path: Path) -> None:
    first = ensure_certificate(tmp_path, NAMES)[0].read_bytes()
    assert ensure_certificate(tmp_path, tuple(reversed(NAMES)))[0].read_bytes() == first


def test_other_names_need_another(tmp_path: Path) -> None:
    first = ensure_certificate(tmp_path, NAMES)[0].read_bytes()
    assert ensure_certificate(tmp_path, ("elsewhere.test",))[0].read_bytes() != first


@pytest.mark.parametrize(("days_later", "is_kept"), [(300, True), (368, False), (500, False)])
def test_it_is_renewed_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days_later: int, *, is_kept: bool
) -> None:
    first = ensure_certificate(tmp_path, NAMES)[0].read_bytes()
    monkeypatch.setattr(tls, "utc_now", lambda: utc_now() + timedelta(days=days_later))
    assert (ensure_certificate(tmp_path, NAMES)[0].read_bytes() == first) is is_kept


def test_a_lost_key_makes_a_new_pair(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path, NAMES)
    first = certificate.read_bytes()
    key.unlink()
    assert ensure_certificate(tmp_path, NAMES)[0].read_bytes() != first
    assert key.exists()
