"""The fixtures of the contract suite."""

pytest_plugins = ["store_contract.fixtures"]
