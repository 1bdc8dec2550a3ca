"""The scorecard of a forecaster: what is asked, and intervals of the answers."""
