"""What strangers say of the security of what a run made."""
