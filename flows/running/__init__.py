"""What ``terracast up`` is made of: a guard for each child, one lock a workspace, the warm runner, and the page."""
