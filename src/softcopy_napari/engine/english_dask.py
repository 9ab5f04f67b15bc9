"""The English of copy workers on a Dask cluster."""

from __future__ import annotations

from softcopy_napari.engine.english_details import Wording
from softcopy_napari.engine.reasons import ReasonCode

_TRIED_AGAIN = "It is asked again"

DASK: Wording = {
    ReasonCode.DASK_NO_WORKERS: "no Dask worker has joined {scheduler}; files wait for one",
    ReasonCode.DASK_UNREACHABLE: "the Dask scheduler at {scheduler} does not answer; files wait for it",
    ReasonCode.DASK_WORKER_LOST: "Dask worker {worker} on {host} was lost; others copy its files",
    ReasonCode.DASK_PROCESS_DIED: "a copy process on {host} died and was replaced",
    ReasonCode.DASK_CANNOT_START: f"no copy process can be started on {{host}}: {{problem}}. {_TRIED_AGAIN}",
    ReasonCode.DASK_OTHER_VERSION: (
        f"{{host}} has softcopy {{there}}, and this computer {{here}}: install the same on both. {_TRIED_AGAIN}"
    ),
    ReasonCode.DASK_OTHER_SOURCE: (
        f"{{host}} does not see the source as this computer does: mount it there as {{source}}. {_TRIED_AGAIN}"
    ),
    ReasonCode.DASK_OTHER_DESTINATION: (
        f"{{host}} does not see the destination as this computer does: mount it there as {{destination}}. "
        f"{_TRIED_AGAIN}"
    ),
    ReasonCode.DASK_CLOCK: (
        f"the clock of {{host}} is {{seconds:time}} off: files are told apart by times, so set it (NTP). {_TRIED_AGAIN}"
    ),
}
