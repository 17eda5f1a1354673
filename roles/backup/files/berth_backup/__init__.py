"""What Berth leaves on a machine to keep the backups of its stores."""
