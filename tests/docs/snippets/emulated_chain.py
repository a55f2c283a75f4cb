from airflow_provider_alchemy.testing import AlchemyEmulator

COLLECTION = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"

with AlchemyEmulator(block_seconds=None, max_block_range=10) as emulator:
    revealed = emulator.reveal(COLLECTION, range(100))
    with emulator.one_block():
        emulator.mint(COLLECTION, [10_000])
        emulator.reveal_batch(COLLECTION, 0, 10_000)
    emulator.mine_blocks(3)
    emulator.reorganise(4)
    assert emulator.chain_logs() == revealed
