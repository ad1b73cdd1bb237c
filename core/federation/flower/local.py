"""A federation on one machine: its keys and certificates are made for it, and go with it."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.federation.encrypted import keep_key
from core.federation.flower.keys import write_certificates, write_site_keys
from core.federation.flower.runner import LOOPBACK, Keys, Runner
from core.federation.plan import Plan

DAYS = 30


@contextmanager
def local_runner(
    plan: Plan, out: Path, commands: Mapping[str, Sequence[str]], start: Path | None = None
) -> Iterator[Runner]:
    """A runner of a server and its sites on loopback.

    Parameters
    ----------
    plan : Plan
        What is federated.
    out : Path
        As `Runner.out`; the sites' key for encrypted sums is kept there, as what was encrypted is.
    commands : mapping of str to sequence of str
        Site → what begins its process, to which the options of its keys and the server's address are added.
    start : Path or None
        As `Runner.start`.
    """
    with tempfile.TemporaryDirectory(prefix="purescan-keys-") as name:
        folder = Path(name)
        server = write_certificates(folder, [LOOPBACK], DAYS)
        pairs = {name: write_site_keys(folder, f"site-{place}") for place, name in enumerate(commands)}
        public = {name: pair[1] for name, pair in pairs.items()}
        shared = ["--server", "{server}", "--certificate", str(server.authority)]
        shared += [word for path in public.values() for word in ("--partner", str(path))]
        if plan.how.encrypted:
            shared += ["--sum-key", str(keep_key(out))]
        whole = {name: [*command, "--key", str(pairs[name][0]), *shared] for name, command in commands.items()}
        keys = Keys(server.authority, server.certificate, server.key, public)
        yield Runner(plan, out, keys, whole, len(commands), start)
