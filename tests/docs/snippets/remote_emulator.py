from airflow_provider_alchemy.testing import RemoteEmulator

COLLECTION = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"

with RemoteEmulator("http://127.0.0.1:8765") as remote:
    remote.post("jobs", address=COLLECTION, outcome="queue_failed")
    remote.post("faults", kind="http", status=503, times=3)
    units = remote.get("counters")["compute_units"]
    submissions = [call for call in remote.calls if call.endpoint == "reingestContract"]
