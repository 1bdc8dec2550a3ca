"""tigramite's methods and tests behind the settings of a search; this package alone knows how they are called."""
