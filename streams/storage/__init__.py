"""How the store keeps things: arrays, observations, ledgers, states; where it lies; how it is checked and tidied."""
