"""Judge images with a deployed bundle: what the line PC runs; no torch."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cobnut.calibration.conformal import p_values
from cobnut.data.images import image_shape, read_image
from cobnut.data.photographs import brightness_and_sharpness
from cobnut.errors import ImageError
from cobnut.records import Verdict
from cobnut.runtime.bundle import MODEL, read_bundle_region, read_manifest
from cobnut.runtime.session import Session

BATCH = 8
_DECODERS = 2
_AHEAD = 4 * BATCH


class Inspector:
    """A verified, loaded bundle that turns images into verdicts."""

    def __init__(self, bundle: Path | str, threads: int | None = None, version: int | None = None) -> None:
        """Read and verify ``bundle``, or a ``version`` of it; raises :class:`BundleError` when it is not whole."""
        bundle = Path(bundle)
        self.manifest = read_manifest(bundle, version)
        self.region = read_bundle_region(bundle, self.manifest)
        """What is inspected, bool (h, w) of the photographs' size; ``None``: everything."""
        self._session = Session(bundle / MODEL, threads)

    def inspect(self, image: Path | str | NDArray[np.uint8]) -> Verdict:
        """Judge one image: a file, or an array uint8 (h, w), (h, w, 3) or (h, w, 4). Raises :class:`ImageError`."""
        if isinstance(image, np.ndarray):
            return self._judge([self._read_array(image)])[0]
        return self._judge([self._read_file(Path(image))])[0]

    def inspect_files(self, paths: Iterable[Path]) -> Iterator[Verdict | ImageError]:
        """Judge files in their order, decoding ahead while the model runs; an unreadable one gives its error."""
        waiting = iter(paths)
        with ThreadPoolExecutor(_DECODERS) as pool:
            ahead = deque(pool.submit(self._read, path) for path in islice(waiting, _AHEAD))
            while ahead:
                batch = [ahead.popleft().result() for _ in range(min(BATCH, len(ahead)))]
                ahead.extend(pool.submit(self._read, path) for path in islice(waiting, len(batch)))
                yield from self._judge_readable(batch)

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

    def _read(self, path: Path) -> NDArray[np.uint8] | ImageError:
        try:
            return self._read_file(path)
        except ImageError as error:
            return error

    def _read_file(self, path: Path) -> NDArray[np.uint8]:
        if self.region is not None:
            self._check_shape(image_shape(path), str(path))
        return read_image(path, self.manifest.recipe.image)

    def _check_shape(self, shape: tuple[int, ...], name: str) -> None:
        """Raise :class:`ImageError` where the region was drawn on photographs of another size."""
        if self.region is not None and shape != self.region.shape:
            height, width = self.region.shape
            raise ImageError(
                f"{name}: is {shape[1]} × {shape[0]} pixels, and what this bundle inspects was drawn on photographs of "
                f"{width} × {height}; take it with the same setting, or train a bundle for this one"
            )

    def _read_array(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))):
            raise ImageError(f"array of {image.dtype} {image.shape}: give uint8 (h, w), (h, w, 3) or (h, w, 4)")
        self._check_shape(image.shape[:2], "array")
        encoded = BytesIO()
        Image.fromarray(image).save(encoded, "BMP" if image.ndim == 2 or image.shape[2] == 3 else "PNG")
        encoded.seek(0)
        return read_image(encoded, self.manifest.recipe.image)
