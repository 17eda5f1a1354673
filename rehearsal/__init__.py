"""The rehearsal: what a cloud would give, on this machine. So far: an engine and base images, for the local home."""
