"""Speed, as ratios taken in one run: ours against a floor."""

import rehearsal.reading  # noqa: F401 - makes Berth's functions importable before a module of this package asks for them
