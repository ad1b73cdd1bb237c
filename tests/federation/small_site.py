"""A small hospital's process: python -m tests.federation.small_site NAME FOLDER SERVER AUTHORITY KEY

It notes every training that it begins in FOLDER/trained, and waits there as long as FOLDER/hold exists.
"""

import sys
import time
from pathlib import Path

from core.federation.flower.processes import end_with_parent
from core.federation.flower.supernode import Connection, run_site
from core.federation.policy import read_policy
from tests.federation.hospitals import hospitals


def main(begun, name, folder, server, authority, key):
    site = next(site for site in hospitals() if site.name == name)
    site.folder = folder
    if (policy := folder / "policy.json").is_file():
        site.policy = read_policy(policy)

    def training(key):
        with (folder / "trained").open("a") as file:
            file.write(f"{key}\n")
        while (folder / "hold").exists():
            time.sleep(0.05)

    site.begun = training
    run_site(site, Connection(server, Path(authority), Path(key), wait=begun.wait))


if __name__ == "__main__":
    begun, words = end_with_parent(), sys.argv[1:]
    main(begun, words[0], Path(words[1]), *words[2:])
