import subprocess
import sys

import pytest


def test_torchvision_and_timm_load_after_the_mend_whatever_the_build_of_torch() -> None:
    pytest.importorskip("timm")
    code = (
        "from cobnut.models.torchvision_mend import mend_torchvision\n"
        "mend_torchvision()\nmend_torchvision()\n"
        "import timm, torchvision\n"
        "assert timm.create_model('resnet18', pretrained=False) is not None\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
