"""Writes events.bin, a file of events of torch's SummaryWriter, and events.json, what TensorBoard reads out of it.

    pip install torch tensorboard && python make.py
"""

import json
import pathlib
import shutil
import tempfile

from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from torch.utils.tensorboard import SummaryWriter

here = pathlib.Path(__file__).parent
scalars = [
    ("train/loss", 2.5, 1, 1700000000.25),
    ("train/loss", 2.25, 2, 1700000001.5),
    ("train/learning rate", 1e-3, 300, 1700000002.0),
    ("memory/process", 1.37e9, 2**31 + 5, 1700000003.125),
]

with tempfile.TemporaryDirectory() as folder:
    writer = SummaryWriter(folder)
    for tag, value, step, time in scalars:
        writer.add_scalar(tag, value, step, walltime=time)
    writer.close()
    (file,) = pathlib.Path(folder).iterdir()
    shutil.copy(file, here / "events.bin")

events = [
    {
        "time": event.wall_time,
        "step": event.step,
        "version": event.file_version or None,
        "scalars": {value.tag: value.simple_value for value in event.summary.value},
    }
    for event in LegacyEventFileLoader(str(here / "events.bin")).Load()
]
(here / "events.json").write_text(json.dumps(events, indent=2) + "\n")
