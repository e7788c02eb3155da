"""Property tests: the same examples on every run and no deadline, so that a busy machine cannot fail them.

``HYPOTHESIS_EXPLORE=5000 pytest deftmail/mailproto`` looks further, with fresh examples each time.
"""

import os

from hypothesis import settings

explore = os.environ.get("HYPOTHESIS_EXPLORE")
settings.register_profile("deftmail", deadline=None, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, database=None, max_examples=int(explore or 100))
settings.load_profile("explore" if explore else "deftmail")
