"""torch and numpy, imported by the first use of one of their names.

Methods name them at the top of their files, and are built without them: a list of methods, a cost
or an error about a setting needs neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch as torch
    import torch.nn.functional as F
else:
    from importlib import import_module

    class _Late:
        """A module that is imported when a name is first looked up."""

        def __init__(self, module: str) -> None:
            self._module = module

        def __getattr__(self, name: str) -> Any:
            found = getattr(import_module(self._module), name)
            setattr(self, name, found)  # later look-ups of the name come here no more
            return found

    torch, F, np = _Late("torch"), _Late("torch.nn.functional"), _Late("numpy")

__all__ = ["F", "np", "torch"]
