"""How often things are tried: as often as a run of all tests in a few minutes allows, and more where somebody asks."""

from __future__ import annotations

import os

EXAMPLES = int(os.environ.get("PSERV_EXAMPLES", "25"))
"""Examples of a property; 1000 and more for a long look."""
KILLS = int(os.environ.get("PSERV_KILLS", "16"))
"""How often somebody is killed while others write; 50 and more to see it for long."""
ROUNDS = int(os.environ.get("PSERV_ROUNDS", "4"))
"""How many of the moments are tried at which something may come in between; 200 for the full proof."""
EACH_LINE = int(os.environ.get("PSERV_EACH_LINE", "60"))
"""Each so manyeth line of the logger is one at which it is killed; 1 for all."""
