import platform
from importlib.metadata import version

import numpy as np
import torch

from forethought.models.hardware.threads import most_threads
from forethought.storage.provenance import provenance


def test_provenance_names_versions_and_hardware() -> None:
    found = provenance()

    assert found["torch"] == torch.__version__
    assert found["numpy"] == np.__version__
    assert found["forethought"] == version("forethought")
    assert found["python"] == platform.python_version()
    assert found["processor"]
    assert int(found["cores"]) >= 1
    assert found["threads"] == str(most_threads())
    assert found["device"].partition(":")[0] == ("cuda" if torch.cuda.is_available() else "cpu")


def test_provenance_is_text_and_repeats() -> None:
    assert all(isinstance(value, str) for value in provenance().values())
    assert provenance() == provenance()
