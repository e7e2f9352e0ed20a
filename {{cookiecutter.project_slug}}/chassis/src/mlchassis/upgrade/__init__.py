"""`make upgrade-chassis`: the chassis folder replaced by another release."""
