# SPDX-License-Identifier: Apache-2.0
"""The uninvited host of late.sh: "OPENED of TRIES" is in /run/late/probed."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "machines"))
import prober as probing  # noqa: E402

LATE = pathlib.Path("/run/late")
probing.PERIOD_S = 0.1  # an emulated CPU has the guard to load besides
prober = probing.Prober("192.0.2.66", "203.0.113.10", 80)
prober.start()
while True:
    part = LATE / "probed.part"
    part.write_text(f"{len(prober.opened)} of {prober.tries}\n")
    part.rename(LATE / "probed")
    (LATE / "probing").touch()
    time.sleep(0.5)
