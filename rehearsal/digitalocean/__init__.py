"""DigitalOcean's API version 2, rehearsed: droplets are machines with systemd, sshd and an engine of their own."""
