"""The errors that a user can mend: each says the value, the cause and the next step, in one line."""


class CobnutError(Exception):
    """A mistake in the input or the surroundings, told in one line; the command line prints it and exits with 2."""


class ImageError(CobnutError):
    """One image cannot be read; a run over many images records it and goes on."""


class DataError(CobnutError):
    """A data set does not hold what the work needs."""


class RecipeError(CobnutError):
    """A recipe does not exist, or holds an option or value that is not valid."""


class DivergedError(CobnutError):
    """A training whose loss is no number any more."""


class BundleError(CobnutError):
    """A bundle is missing, damaged, altered or of another format."""


class SignatureError(BundleError):
    """A signature or a key is missing, damaged, or not one that is asked for."""


class DownloadError(CobnutError):
    """An archive could not be fetched, verified or unpacked."""


def require_extra(module: str, extra: str, purpose: str) -> None:
    """Raise one plain line when ``module``, which comes with ``pip install 'cobnut[extra]'``, is not installed."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise CobnutError(
            f"{purpose} needs the package {module}, which is not installed: pip install 'cobnut[{extra}]'"
        )
