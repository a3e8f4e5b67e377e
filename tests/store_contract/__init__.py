"""The contract of the port `Tasks` as one suite for every adapter: subclass it and define a fixture `place`.

    class TestMemory(StoreContract):
        @pytest.fixture
        def place(self) -> Place: ...

A place whose data outlives the stores over it takes `durability.DurableStoreContract` instead.
"""

from store_contract.batches import Batches
from store_contract.changes import Changes
from store_contract.changesets import Changesets
from store_contract.editing import Editing
from store_contract.erasing import Erasing
from store_contract.exporting import Exporting
from store_contract.feeds import Feeds
from store_contract.importing import Importing
from store_contract.isolation import Isolation
from store_contract.keys import Keys
from store_contract.lists import Lists
from store_contract.naming import Naming
from store_contract.purging import Purging
from store_contract.races import Races
from store_contract.retries import Retries
from store_contract.trash import Trash
from store_contract.writes import Writes


class StoreContract(
    Isolation,
    Writes,
    Editing,
    Naming,
    Races,
    Batches,
    Changesets,
    Retries,
    Keys,
    Lists,
    Changes,
    Purging,
    Trash,
    Erasing,
    Exporting,
    Feeds,
    Importing,
):
    """The promises of `Tasks`."""


__all__ = ["StoreContract"]
