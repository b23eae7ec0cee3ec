"""No test reaches beyond this machine: a brake makes an attempt fail, and a test proves it."""

import os

from tests import network_brake

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
network_brake.install()
