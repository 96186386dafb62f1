"""What all tests of the running kernel need."""

from __future__ import annotations

import pytest

from faultline.backend.live_offer import requirement_missing

_MISSING = requirement_missing()
LIVE = [
    pytest.mark.live,
    pytest.mark.root,
    # one worker: KSM's knobs and swap are the whole machine's
    pytest.mark.xdist_group("live"),
    pytest.mark.skipif(_MISSING is not None, reason=_MISSING or ""),
]
