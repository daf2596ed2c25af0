"""Where the MVTec AD archives lie, what proves them, and how many images each category holds (IJCV 129(4), 2021)."""

from collections.abc import Sequence

from cobnut.data.download.archives import Archive, Counts
from cobnut.errors import DownloadError

MVTEC_LICENCE = (
    "MVTec AD is © MVTec Software GmbH, CC BY-NC-SA 4.0: not for commercial use; "
    "cite Bergmann et al., IJCV 129(4), 2021."
)

_SHARES = "https://www.mydrive.ch/shares"
_SHARE = f"{_SHARES}/38536/3830184030e49fe74747669442f0f282/download"
_PILL_SHARE = f"{_SHARES}/43421/11a215a5749fcfb75e331ddd5f8e43ee/download"
_WHOLE_SHARE = f"{_SHARES}/150996/b52ecdcbf521176e9db9c731f2304b27/download"


def _category(name: str, place: str, *counts: int, share: str = _SHARE) -> Archive:
    # MVTec publishes no hash for these: the first download pins what it finds, and the image counts vouch for it.
    return Archive(name, (f"{share}/{place}/{name}.tar.xz",), None, None, {name: Counts(*counts)})


MVTEC: dict[str, Archive] = {
    archive.name: archive
    for archive in (
        _category("bottle", "420937370-1629951468", 209, 20, 63),
        _category("cable", "420937413-1629951498", 224, 58, 92),
        _category("capsule", "420937454-1629951595", 219, 23, 109),
        _category("carpet", "420937484-1629951672", 280, 28, 89),
        _category("grid", "420937487-1629951814", 264, 21, 57),
        _category("hazelnut", "420937545-1629951845", 391, 40, 70),
        _category("leather", "420937607-1629951964", 245, 32, 92),
        _category("metal_nut", "420937637-1629952063", 220, 22, 93),
        _category("pill", "420938129-1629953099", 267, 26, 141, share=_PILL_SHARE),
        _category("screw", "420938130-1629953152", 320, 41, 119),
        _category("tile", "420938133-1629953189", 230, 33, 84),
        _category("toothbrush", "420938134-1629953256", 60, 12, 30),
        _category("transistor", "420938166-1629953277", 213, 60, 40),
        _category("wood", "420938383-1629953354", 247, 19, 60),
        _category("zipper", "420938385-1629953449", 240, 32, 119),
    )
}

MVTEC_ALL = Archive(
    name="mvtec_anomaly_detection",
    urls=(
        f"{_WHOLE_SHARE}/420938113-1629960298/mvtec_anomaly_detection.tar.xz",
        f"{_SHARE}/420938113-1629952094/mvtec_anomaly_detection.tar.xz",
    ),
    sha256="cf4313b13603bec67abb49ca959488f7eedce2a9f7795ec54446c649ac98cd3d",
    size_bytes=5_264_982_680,
    counts={name: counts for archive in MVTEC.values() for name, counts in archive.counts.items()},
)


def find_archives(names: Sequence[str]) -> list[Archive]:
    """The archives of the named categories, each once; raises :class:`DownloadError` with the valid names."""
    valid = ", ".join(MVTEC)
    if not names:
        raise DownloadError(f"no category named; name some of {valid}, or --all")
    for name in names:
        if name not in MVTEC:
            raise DownloadError(f"{name}: no such category of MVTec AD; name some of {valid}, or --all")
    return [MVTEC[name] for name in dict.fromkeys(names)]
