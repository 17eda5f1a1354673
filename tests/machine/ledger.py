"""An app whose accessory keeps numbers in two volumes, and which keeps what visitors bring in a third; seen from its droplet."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from tests.machine.test_digitalocean_home import Droplets

# Writes each number into one volume, and then into another: at any one moment they are the same, or the first one is one ahead. What else it
# has makes a copy take its time.
LEDGER = """
const fs = require("fs");
const put = (path, number) => { fs.writeFileSync(path + ".new", String(number)); fs.renameSync(path + ".new", path); };
const last = (path) => { try { return Number(fs.readFileSync(path)); } catch { return 0; } };
for (let each = 0; each < 40 && !fs.existsSync("/first/bulk-39"); each++)
  fs.writeFileSync("/first/bulk-" + each, require("crypto").randomBytes(1 << 20));
process.on("SIGTERM", () => process.exit(0));
let number = last("/first/number");
require("http").createServer((request, answer) => {
  number += 1; put("/first/number", number); put("/second/number", number); answer.end(String(number));
}).listen(7000);
"""
# Asks the ledger, and keeps of each visitor that brings a name a file of that name.
WEB = """
const http = require("http"), fs = require("fs");
const server = http.createServer((request, answer) => {
  if (request.url.length > 1) fs.writeFileSync("/uploads" + request.url, "brought");
  http.get("http://ledger:7000/", (said) => said.pipe(answer)).on("error", () => { answer.statusCode = 502; answer.end(); });
});
process.on("SIGTERM", () => server.close(() => process.exit(0)));
server.listen(80);
"""
_NODE = {"image": "node:22-slim"}
SERVICES = {
    "web": {**_NODE, "command": ["node", "-e", WEB], "ports": ["80:80"], "volumes": ["uploads:/uploads"], "depends_on": ["ledger"]},
    "ledger": {**_NODE, "command": ["node", "-e", LEDGER], "volumes": ["first:/first", "second:/second"]},
}
VOLUMES = ["first", "second", "uploads"]
# The same for a Compose file that has other services, and ends in them.
YAML = "".join(f"  {name}: {json.dumps(service)}\n" for name, service in SERVICES.items()) + "volumes: {first: , second: , uploads: }\n"
# Where copies of volumes are on a droplet.
COPIES = "/var/lib/docker/berth"


@dataclass
class Kept(Droplets):
    """The volumes of an app on a ``machine``."""

    machine: str = "app-1"

    def ask(self, path: str = "/") -> int:
        """The next number."""
        with urllib.request.urlopen(f"http://{self.address(self.machine)}{path}", timeout=20) as response:
            return int(response.read())

    def here(self, command: str) -> str:
        """What a command says on the machine."""
        return self.on(self.machine, command)

    def keeper(self, command: str) -> dict[str, Any]:
        """What the machine's own command answers."""
        said = self.here(f"berth-backup app {command}")
        found: dict[str, Any] = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
        return found

    def numbers(self, folder: str) -> list[int]:
        """The numbers in a copy of both volumes."""
        return [int(each) for each in self.here("; echo; ".join(f"cat {folder}/{self.name}_{each}/number" for each in VOLUMES[:2])).split()]

    def uploads(self) -> list[str]:
        """What visitors brought."""
        return self.here(f"ls /var/lib/docker/volumes/{self.name}_uploads/_data").split()
