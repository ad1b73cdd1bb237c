"""How the bundles under weights/ are made: recipes/ trains, measure/ records, publish/ writes what people read."""

import os

from core.bundles.own import VARIABLE

# What is measured and published here is what comes with Purescan, whatever has been added to it on this machine.
os.environ[VARIABLE] = ""
