"""Who vouches for a bundle: Ed25519 signatures, each in a file of its own beside what it signs.

Signed is the SHA-256 of the manifest to the byte, and the manifest lists that of every other file, so a signature
covers all that a verdict depends on. It belongs to one version: after `calibrate` the present one is unsigned until
somebody signs it, and after `rollback` to a signed one its signature holds again.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cobnut.errors import SignatureError, require_extra
from cobnut.files import write_whole
from cobnut.runtime.bundle import SIGNATURES, Contents, read_contents
from cobnut.runtime.keys import digits, fingerprint, read_private_key, read_public_key

LONGEST_COMMENT: Final = 200
REQUIRED: Final = "COBNUT_REQUIRE_SIGNATURE"
# Nobody can pass off as a signature of a bundle what the same key has signed for another purpose.
_PURPOSE: Final = b"cobnut bundle signature\n"


def _check_comment(comment: str) -> str:
    if not comment.isprintable() or len(comment) > LONGEST_COMMENT:
        raise ValueError(f"a comment is one line of at most {LONGEST_COMMENT} printable characters")
    return comment


class Signature(BaseModel):
    """What somebody signed of a version; every field but ``signature`` is part of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    version: int = Field(ge=1, description="of the bundle")
    manifest: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of that version's manifest, to the byte")
    signer: str = Field(pattern=r"^[0-9a-f]{64}$", description="the public key")
    comment: Annotated[str, AfterValidator(_check_comment)] = Field(description="what the signer wished to say")
    signed: str = Field(pattern=r"^[0-9T:+-]{19,}$", description="what the signer's clock said, ISO 8601, UTC")
    signature: str = Field(default="", pattern=r"^([0-9a-f]{128})?$", description="Ed25519, of all the above")

    @property
    def fingerprint(self) -> str:
        """By which people tell the signer's key from others."""
        return fingerprint(self.signer)

    def line(self) -> str:
        """The signature for a person."""
        comment = f" «{self.comment}»" if self.comment else ""
        return f"{self.fingerprint}{comment}, {self.signed} by the signer's clock"

    def message(self) -> bytes:
        """The bytes that are signed."""
        return _PURPOSE + json.dumps(self.model_dump(exclude={"signature"}), sort_keys=True).encode()

    def content(self) -> bytes:
        """The one way in which it is written; any other is refused."""
        return (json.dumps(self.model_dump(), indent=1, ensure_ascii=False) + "\n").encode()


def sign(
    bundle: Path, key: Path, comment: str = "", version: int | None = None, passphrase: str | None = None
) -> Signature:
    """Sign the present version of ``bundle``, or another, once all of its files are proved whole; it lies beside them.

    Signing again with the same key replaces the signature. Raises :class:`BundleError`.
    """
    private = read_private_key(key, passphrase)
    contents = read_contents(bundle, version)
    try:
        unsigned = Signature(
            version=contents.manifest.version,
            manifest=_hash(contents),
            signer=digits(private.public_key()),
            comment=_check_comment(comment),
            signed=datetime.now(UTC).isoformat(timespec="seconds"),
        )
    except ValueError as error:
        raise SignatureError(f"--comment {comment[:20]!r}: {error}") from None
    made = unsigned.model_copy(update={"signature": private.sign(unsigned.message()).hex()})
    with write_whole(bundle / SIGNATURES / f"{made.version:04}-{made.fingerprint[:16]}.json") as partial:
        partial.write_bytes(made.content())
    return made


def read_signatures(bundle: Path, contents: Contents) -> tuple[list[Signature], list[SignatureError]]:
    """The signatures of this version that are proved to be their signers', and what is wrong with the others."""
    found, broken = [], []
    for path in _files(bundle, contents.manifest.version):
        try:
            found.append(_read(path, contents))
        except SignatureError as error:
            broken.append(error)
    return found, broken


def check_required(bundle: Path, contents: Contents, keys: Sequence[Path | str] | Literal[False] | None) -> None:
    """Raise :class:`SignatureError` when a signature is required, and none of this version is by one of the keys.

    They are ``keys``, files of public ones, by default those that ``$COBNUT_REQUIRE_SIGNATURE`` names; where there are
    none, nothing is required. ``False`` requires nothing whatever the environment says.
    """
    if keys is None and (named := os.environ.get(REQUIRED)):
        keys = [each for each in named.split(os.pathsep) if each]
    if keys is not None and keys is not False:
        check_signed(bundle, contents, [Path(key) for key in keys])


def check_signed(bundle: Path, contents: Contents, keys: Sequence[Path]) -> Signature:
    """The signature of this version by one of ``keys``, files of public ones; raises :class:`SignatureError`.

    A broken one of somebody else's counts for nothing, and does no harm either.
    """
    if not keys:
        raise SignatureError(f"{bundle}: a signature is required, but no key to check it by; name NAME.pub")
    known = {read_public_key(path): path for path in keys}
    found, broken = read_signatures(bundle, contents)
    for signature in found:
        if signature.signer in known:
            return signature
    raise broken[0] if broken else SignatureError(_unsigned(bundle, contents, found, known))


def _unsigned(bundle: Path, contents: Contents, found: Sequence[Signature], known: Mapping[str, Path]) -> str:
    version = contents.manifest.version
    if found:
        others = ", ".join(signature.fingerprint for signature in found)
        keys = ", ".join(f"{path} ({fingerprint(key)})" for key, path in known.items())
        return (
            f"{bundle}: version {version} is signed by {others}, not by {keys}; ask whoever sent it whose key that is"
        )
    signed = sorted({int(path.name.partition("-")[0]) for path in (bundle / SIGNATURES).glob("[0-9]*-*.json")})
    back = f", or go back to a signed one: `cobnut rollback {bundle} --to {signed[-1]}`" if signed else ""
    return f"{bundle}: version {version} is not signed; `cobnut sign {bundle} --key NAME.key` signs it{back}"


def _files(bundle: Path, version: int) -> list[Path]:
    return sorted((bundle / SIGNATURES).glob(f"{version:04}-*.json"))


def _read(path: Path, contents: Contents) -> Signature:
    """A signature that holds: whole, of this very manifest, made by the key that it names."""
    require_extra("cryptography", "sign", "checking signatures")
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    content = path.read_bytes()
    try:
        signature = Signature.model_validate_json(content)
    except ValidationError:
        raise SignatureError(f"{path}: is damaged, or a newer Cobnut's; fetch it again from whoever signed") from None
    if content != signature.content():
        raise SignatureError(f"{path}: was altered after signing; fetch it again from whoever signed")
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature.signer))
        key.verify(bytes.fromhex(signature.signature), signature.message())
    except (ValueError, InvalidSignature):
        raise SignatureError(f"{path}: the signature is broken; fetch it again from whoever signed") from None
    if (signature.version, signature.manifest) != (contents.manifest.version, _hash(contents)):
        raise SignatureError(
            f"{path}: signs another manifest than that of version {contents.manifest.version}; fetch the bundle again, "
            "or have it signed as it is"
        )
    return signature


def _hash(contents: Contents) -> str:
    return hashlib.sha256(contents.record).hexdigest()
