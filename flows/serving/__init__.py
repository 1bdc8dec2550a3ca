"""What ``terracast serve`` is made of: the reading of the store, the addresses that answer, and what is refused."""
