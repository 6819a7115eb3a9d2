"""Downloads a model's files from a hub into the hub's own cache."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forethought.contracts.errors import DownloadError

_WANTED = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt"]
_UNWANTED = ["*/*"]  # subfolders hold other formats and training states


def is_hub_id(name: str) -> bool:
    """Whether a name looks like owner/name."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", name) is not None


def fetch(repository: str, *, again: bool = False) -> Path:
    """The folder of the newest version of a model; downloads what is missing.

    Interrupted downloads resume. Raises DownloadError if the hub is unreachable or refuses the
    model.
    """
    from huggingface_hub import snapshot_download

    with _told(repository):
        return Path(
            snapshot_download(
                repository,
                allow_patterns=_WANTED,
                ignore_patterns=_UNWANTED,
                force_download=again,
            )
        )


def fetch_config(repository: str) -> Path:
    """The `config.json` of the newest version of a model; raises as `fetch`."""
    from huggingface_hub import hf_hub_download

    with _told(repository):
        return Path(hf_hub_download(repository, "config.json"))


@contextmanager
def _told(repository: str) -> Iterator[None]:
    """Turn the hub's errors into DownloadError with advice, without its warnings of retries."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )
    from huggingface_hub.utils import logging as own_logging

    before = own_logging.get_verbosity()
    own_logging.set_verbosity(logging.ERROR)
    try:
        yield
    except GatedRepoError as error:
        raise DownloadError(
            f"{repository} requires that its terms are accepted",
            "accept them on the model's page, then run: hf auth login",
        ) from error
    except RepositoryNotFoundError as error:
        raise DownloadError(
            f"the hub has no model {repository}, or it is private",
            "check the spelling, or log in with: hf auth login",
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise DownloadError(
            f"could not fetch {repository} from the hub: {str(error).splitlines()[0]}",
            "check the network (HF_ENDPOINT names another hub), or use a model that needs no "
            "hub, such as smollm2",
        ) from error
    finally:
        own_logging.set_verbosity(before)
