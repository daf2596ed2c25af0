"""Pairs of Ed25519 keys: the private one signs bundles and stays with its owner, the public one goes to every line.

Both are PEM files that other programs (OpenSSL) read too. In this house a public key is the 64 hexadecimal digits of
its 32 bytes.
"""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cobnut.errors import SignatureError, require_extra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PRIVATE, PUBLIC = ".key", ".pub"
# Where a passphrase comes from when nobody is there to type it.
PASSPHRASE: Final = "COBNUT_KEY_PASSPHRASE"
_IS_PRIVATE, _IS_ENCRYPTED = b"PRIVATE KEY-----", b"ENCRYPTED"


def make_keys(name: Path, passphrase: str | None = None) -> tuple[Path, Path]:
    """Write a new pair as ``name``.key, which only its owner may read, and ``name``.pub; raises where one exists."""
    require_extra("cryptography", "sign", "making keys")
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    name = name.with_suffix("") if name.suffix in (PRIVATE, PUBLIC) else name
    private, public = (name.with_name(name.name + ending) for ending in (PRIVATE, PUBLIC))
    for path in (private, public):
        if path.exists():
            raise SignatureError(f"{path}: stands there already, and keys are never overwritten; choose another name")
    made = Ed25519PrivateKey.generate()
    locked = pem.BestAvailableEncryption(passphrase.encode()) if passphrase else pem.NoEncryption()
    _write_new(private, made.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, locked), 0o600)
    _write_new(public, _as_pem(made.public_key()), 0o644)
    return private, public


def read_private_key(path: Path, passphrase: str | None = None) -> "Ed25519PrivateKey":
    """The key that signs; raises :class:`SignatureError` when it is none, or the passphrase does not open it."""
    require_extra("cryptography", "sign", "signing")
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _read(path)
    if _IS_PRIVATE not in content:
        raise SignatureError(f"{path}: is no private key; sign with NAME{PRIVATE} as `cobnut keys NAME` wrote it")
    secret = passphrase.encode() if passphrase and is_encrypted(path) else None
    try:
        key = load_pem_private_key(content, secret)
    except TypeError:
        raise SignatureError(f"{path}: is encrypted; type its passphrase, or give it as {PASSPHRASE}") from None
    except (ValueError, UnsupportedAlgorithm, InternalError):  # the last of a key of a kind that nobody uses
        cause = "the passphrase does not open it" if secret else "is damaged"
        raise SignatureError(f"{path}: {cause}; try again, or fetch a copy of the key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(f"{path}: is a key of another kind than Ed25519; `cobnut keys NAME` makes one")
    return key


def read_public_key(path: Path) -> str:
    """The key that proves who signed, 64 hexadecimal digits; raises :class:`SignatureError` for anything else."""
    require_extra("cryptography", "sign", "checking signatures")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content = _read(path).replace(b"\r\n", b"\n")
    if _IS_PRIVATE in content:
        raise SignatureError(f"{path}: is a private key, which stays with its owner; name the NAME{PUBLIC} beside it")
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise SignatureError(f"{path}: is no public key, or is damaged; fetch it again from its owner") from None
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureError(f"{path}: is a key of another kind than Ed25519; `cobnut keys NAME` makes one")
    if content.rstrip(b"\n") != _as_pem(key).rstrip(b"\n"):
        raise SignatureError(f"{path}: is damaged or was altered; fetch it again from its owner")
    return digits(key)


def is_encrypted(path: Path) -> bool:
    """Whether it takes a passphrase to use this private key."""
    return _IS_ENCRYPTED in _read(path)


def digits(key: "Ed25519PublicKey") -> str:
    """A public key as 64 hexadecimal digits."""
    return key.public_bytes_raw().hex()


def fingerprint(public: str) -> str:
    """32 hexadecimal digits by which people tell a public key, given as 64, from others."""
    return hashlib.sha256(bytes.fromhex(public)).hexdigest()[:32]


def _as_pem(key: "Ed25519PublicKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise SignatureError(f"{path}: no such key; `cobnut keys NAME` makes NAME{PRIVATE} and NAME{PUBLIC}")
    return path.read_bytes()


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there yet, so that nobody else could read it for a moment; whole or not at all."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except BaseException:
        path.unlink()
        raise
