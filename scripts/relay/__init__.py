"""Real NeMo Relay applications whose events go through Skein; see ../try-relay.py."""
