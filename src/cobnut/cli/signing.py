"""`cobnut keys`, `cobnut sign` and `cobnut verify`: who vouches for a bundle."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cobnut.cli import options
from cobnut.cli.terminal import out, remark

_VERSION = "The bundle, or a version of it: BUNDLE@1."


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command("keys")(keys)
    app.command("sign")(sign)
    app.command("verify")(verify)


def keys(
    name: Annotated[
        Path, typer.Argument(metavar="NAME", help="Whose keys: NAME.key and NAME.pub are written.", show_default=False)
    ],
    passphrase: Annotated[
        bool,
        typer.Option(
            "--passphrase", help="Ask for a passphrase that opens the private key; or set COBNUT_KEY_PASSPHRASE."
        ),
    ] = False,
) -> None:
    """Make a pair of keys (Ed25519): the private one signs bundles, the public one proves who did.

    Keep NAME.key to yourself. Take NAME.pub to every line that shall run only what you have signed.

    Example: cobnut keys quality
    """
    from cobnut.runtime.keys import PASSPHRASE, fingerprint, make_keys, read_public_key

    secret = os.environ.get(PASSPHRASE) or (_ask_twice() if passphrase else None)
    private, public = make_keys(name, secret)
    locked = "opened by the passphrase" if secret else "not encrypted"
    out.print(f"private  {private}  ({locked}; keep it to yourself)", markup=False)
    out.print(f"public   {public}  (fingerprint {fingerprint(read_public_key(public))})", markup=False)
    out.print(f"next     cobnut sign BUNDLE --key {private}", markup=False)


def sign(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help=_VERSION, show_default=False)],
    key: Annotated[
        Path,
        typer.Option(
            "--key", metavar="NAME.key", help="Your private key, as `cobnut keys NAME` made it.", show_default=False
        ),
    ],
    comment: Annotated[
        str, typer.Option("--comment", metavar="TEXT", help="What you vouch for; it is signed too.", show_default=False)
    ] = "",
) -> None:
    """Vouch for a bundle as it is now: its model, its threshold, all that a verdict depends on.

    Another calibration is another version and wants a signature of its own. Several people may sign one version.

    Example: cobnut sign hazelnut.cobnut --key quality.key --comment "released for line 4"
    """
    from cobnut.runtime.signatures import sign

    place, version = options.split_version(bundle)
    made = sign(place, key, comment, version, _passphrase_of(key))
    out.print(f"signed   version {made.version} of {place} by {made.line()}", markup=False)
    out.print(f"next     cobnut verify {bundle} --key {key.with_suffix('.pub')}", markup=False)


def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help=_VERSION, show_default=False)],
    key: Annotated[
        list[Path] | None,
        typer.Option(
            "--key",
            metavar="NAME.pub",
            help="A public key that you trust. Repeatable: one of them is enough.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check that a bundle is whole and unaltered, and who vouches for it. Exit code 0: all is well, 2: it is not.

    Without --key only the hashes are checked: they show an accident, not whoever altered a file and its hash.

    Example: cobnut verify hazelnut.cobnut --key quality.pub
    """
    from cobnut.runtime.bundle import read_contents
    from cobnut.runtime.signatures import check_signed, read_signatures

    place, version = options.split_version(bundle)
    contents = read_contents(place, version)
    manifest = contents.manifest
    vouches = check_signed(place, contents, key) if key else None
    signatures, broken = read_signatures(place, contents)
    if broken and vouches is None:
        raise broken[0]
    out.print(
        f"whole    version {manifest.version}, format {manifest.format}, {len(manifest.files)} files", markup=False
    )
    for signature in signatures:
        out.print(f"signed   by {signature.line()}", markup=False)
    for error in broken:
        remark(f"counts for nothing: {error}")
    if vouches is not None:
        out.print(f"vouched  {vouches.fingerprint} is a key that you named", markup=False)
    else:
        remark("nobody vouches for these files: name a key that you trust, --key NAME.pub")


def _passphrase_of(key: Path) -> str | None:
    from getpass import getpass

    from cobnut.runtime.keys import PASSPHRASE, is_encrypted

    if not is_encrypted(key):
        return None
    return os.environ.get(PASSPHRASE) or (getpass(f"Passphrase of {key}: ") if _is_attended() else None)


def _ask_twice() -> str:
    from getpass import getpass

    from cobnut.errors import CobnutError
    from cobnut.runtime.keys import PASSPHRASE

    if not _is_attended():
        raise CobnutError(f"--passphrase: nobody is there to type one; set {PASSPHRASE} instead")
    typed = getpass("Passphrase: ")
    if not typed or getpass("Once more: ") != typed:
        raise CobnutError("--passphrase: was empty, or not the same twice; nothing was written, try again")
    return typed


def _is_attended() -> bool:
    import sys

    return sys.stdin.isatty()
