"""Judge images with a deployed bundle: what the line PC runs; no torch."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cobnut.calibration.conformal import p_values
from cobnut.data.images import image_shape, read_image, to_array
from cobnut.data.photographs import brightness_and_sharpness
from cobnut.errors import ImageError
from cobnut.records import Verdict
from cobnut.runtime.agreement import spread_of
from cobnut.runtime.bundle import model_of, read_contents
from cobnut.runtime.engines import open_session
from cobnut.runtime.session import EngineName
from cobnut.runtime.signatures import check_required

BATCH = 8
_DECODERS = 2
_AHEAD = 4 * BATCH
# What is judged: a file, an image of Pillow's, or pixels.
AnyImage = Path | str | Image.Image | NDArray[np.uint8] | NDArray[np.uint16]


class Inspector:
    """A verified, loaded bundle that turns images into verdicts; any number of threads may ask it at once."""

    def __init__(
        self,
        bundle: Path | str,
        threads: int | None = None,
        version: int | None = None,
        engine: str | None = None,
        require_signature: Sequence[Path | str] | Literal[False] | None = None,
    ) -> None:
        """Read, verify and warm up ``bundle``, or a ``version`` of it; :class:`BundleError` says why it is not whole.

        ``engine`` is onnxruntime, openvino, own (the one that has calibrated the bundle) or auto (the fastest that is
        installed); by default ``$COBNUT_ENGINE``, or auto. ``threads`` are those of the engine, by default one for each
        core. With ``require_signature``, files of public keys, the bundle has to be signed by one of them; by default
        those of ``$COBNUT_REQUIRE_SIGNATURE``, and with ``False`` by nobody.
        """
        bundle = Path(bundle)
        contents = read_contents(bundle, version)
        check_required(bundle, contents, require_signature)
        self.manifest, self.record = contents.manifest, contents.record
        self.region = contents.region
        """What is inspected, bool (h, w) of the photographs' size; ``None``: everything."""
        model, image = bundle / model_of(self.manifest), self.manifest.recipe.image
        grey = np.full((1, *image.shape, image.channels), 128, np.uint8)
        spread = spread_of(np.array(self.manifest.calibration_scores))
        self._session = open_session(model, contents.files, grey, spread, threads, engine)

    @property
    def engine(self) -> EngineName:
        """The engine that judges."""
        return self._session.engine

    @overload  # a text is a path, though it is a sequence of texts as well
    def inspect(self, image: AnyImage) -> Verdict: ...  # type: ignore[overload-overlap]
    @overload
    def inspect(self, image: Sequence[AnyImage]) -> list[Verdict]: ...
    def inspect(self, image: AnyImage | Sequence[AnyImage]) -> Verdict | list[Verdict]:
        """Judge one image or a list of them: files, images of Pillow's, or arrays (h, w) or (h, w, 1, 3 or 4).

        Arrays are uint8, of colours red first (OpenCV's come blue first: ``array[..., ::-1]``); grey ones also uint16,
        with the recipe's ``image.bits``. A JPEG is decoded small where it is much larger than the detector sees it, so
        its own pixels as an array may score a little otherwise. Raises :class:`ImageError` for the first that cannot be
        judged.
        """
        if isinstance(image, str | Path | np.ndarray | Image.Image):
            return self._judge([self._read_any(image)])[0]
        groups = (image[start : start + BATCH] for start in range(0, len(image), BATCH))
        return [verdict for group in groups for verdict in self._judge([self._read_any(each) for each in group])]

    def inspect_files(self, paths: Iterable[Path]) -> Iterator[Verdict | ImageError]:
        """Judge files in their order, decoding ahead while the model runs; an unreadable one gives its error."""
        return self.inspect_read(partial(self.read, path) for path in paths)

    def inspect_read(
        self, reads: Iterable[Callable[[], NDArray[np.uint8]]], readers: int = _DECODERS
    ) -> Iterator[Verdict | ImageError]:
        """Judge what each of ``reads`` gives, which is what :meth:`read` gave it; one that raises gives its error.

        So many ``readers`` at once work ahead of the model.
        """
        waiting = iter(reads)
        with ThreadPoolExecutor(readers) as pool:
            ahead = deque(pool.submit(_answer_of, read) for read in islice(waiting, _AHEAD))
            while ahead:
                batch = [ahead.popleft().result() for _ in range(min(BATCH, len(ahead)))]
                ahead.extend(pool.submit(_answer_of, read) for read in islice(waiting, len(batch)))
                yield from self._judge_readable(batch)

    def read(self, source: Path | BinaryIO) -> NDArray[np.uint8]:
        """Decode an image as this bundle's model sees it, uint8 (h, w, c); raises :class:`ImageError`."""
        if self.region is not None:
            name = str(source) if isinstance(source, Path) else str(getattr(source, "name", "image in memory"))
            self._check_shape(image_shape(source), name)
        return read_image(source, self.manifest.recipe.image)

    def _judge_readable(self, batch: Sequence[NDArray[np.uint8] | ImageError]) -> Iterator[Verdict | ImageError]:
        readable = [pixels for pixels in batch if not isinstance(pixels, ImageError)]
        verdicts = iter(self._judge(readable) if readable else [])
        for pixels in batch:
            yield pixels if isinstance(pixels, ImageError) else next(verdicts)

    def _judge(self, images: Sequence[NDArray[np.uint8]]) -> list[Verdict]:
        maps, scores, reconstructions = self._session.run(np.stack(images))
        threshold, level = self.manifest.threshold, self.manifest.level
        photographs = [brightness_and_sharpness(image) for image in images]
        usual = p_values(np.array(self.manifest.calibration_scores), scores)
        return [
            Verdict(
                score=float(score),
                threshold=threshold,
                is_defective=float(score) > threshold,
                anomaly_map=maps[index],
                p_value=float(usual[index]),
                level=level,
                brightness=photographs[index][0],
                sharpness=photographs[index][1],
                inspected=self.region,
                reconstruction=None if reconstructions is None else reconstructions[index],
            )
            for index, score in enumerate(scores)
        ]

    def _check_shape(self, shape: tuple[int, ...], name: str) -> None:
        """Raise :class:`ImageError` where the region was drawn on photographs of another size."""
        if self.region is not None and shape != self.region.shape:
            height, width = self.region.shape
            raise ImageError(
                f"{name}: is {shape[1]} × {shape[0]} pixels, and what this bundle inspects was drawn on photographs of "
                f"{width} × {height}; take it with the same setting, or train a bundle for this one"
            )

    def _read_any(self, image: AnyImage) -> NDArray[np.uint8]:
        if isinstance(image, str | Path):
            return self.read(Path(image))
        if isinstance(image, np.ndarray):
            image = _from_array(image)
        self._check_shape((image.height, image.width), "image in memory")
        return to_array(image, self.manifest.recipe.image)


def _from_array(pixels: NDArray[Any]) -> Image.Image:
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    is_grey, is_colour = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[2] in (3, 4)
    is_known = (is_grey and pixels.dtype in (np.uint8, np.uint16)) or (is_colour and pixels.dtype == np.uint8)
    if not is_known:
        raise ImageError(
            f"array of {pixels.dtype} {pixels.shape}: give uint8 (h, w), (h, w, 3) or (h, w, 4), or grey uint16 (h, w)"
        )
    return Image.fromarray(pixels)


def _answer_of(read: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8] | ImageError:
    try:
        return read()
    except ImageError as error:
        return error
