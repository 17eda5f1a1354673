"""AWS on this machine: moto's API, extended in place, with resources that are real where they hold state or run code."""
