"""Speed, as ratios taken in one run: ours against a floor."""
