"""python -m core federate: train between sites that keep their scans."""

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli.federate_plan import plan_of, plan_options
from core.cli.options import positive
from core.cli.output import print_json, progress_bar

if TYPE_CHECKING:
    from core.federation.flower.runner import Runner
    from core.federation.in_process import InProcess
    from core.federation.plan import Plan
    from core.federation.policy import Policy


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command, and who does what."""
    parser = commands.add_parser("federate")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _declare_run(actions)
    _declare_serve(actions)
    _declare_site(actions)
    _declare_keys(actions)


def _declare_run(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser("run", parents=[plan_options(), _data_options()], help="every site on this machine")
    parser.add_argument("--smallest", type=positive, default=100, metavar="N", help="scans that a site needs")
    parser.add_argument("--in-process", action="store_true", help="without Flower and without processes")
    parser.set_defaults(run=run_here)


def _declare_serve(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser("serve", parents=[plan_options()], help="the server, for sites elsewhere")
    parser.add_argument("--sites", required=True, type=Path, metavar="FOLDER", help="their public keys, NAME.pub")
    parser.add_argument("--certificates", required=True, type=Path, metavar="FOLDER", help="as `federate keys` made")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")
    parser.add_argument("--port", type=positive, default=9092)
    parser.add_argument("--channels", type=positive, default=1, help="1 for grey scans, 3 for colour")
    parser.add_argument("--classes", type=positive, default=2)
    parser.add_argument("--bundle", default="brain-mri", help="of token-ckks (default brain-mri)")
    parser.add_argument("--size", type=positive, default=128, help="side of the images in pixels (default 128)")
    parser.set_defaults(run=run_server)


def _declare_site(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser("site", parents=[_data_options()], help="one site, which connects to a server")
    parser.add_argument("name", metavar="NAME", help="as its partners know it")
    parser.add_argument("--of", metavar="SITE", help="only the data's scans of this site (default: all)")
    parser.add_argument("--server", required=True, metavar="HOST:PORT")
    parser.add_argument("--certificate", required=True, type=Path, metavar="FILE", help="the server's authority.pem")
    parser.add_argument("--key", required=True, type=Path, metavar="FILE", help="the site's own private key")
    parser.add_argument("--partner", type=Path, action="append", default=[], metavar="FILE", help="a known NAME.pub")
    parser.add_argument("--sum-key", type=Path, metavar="FILE", help="the sites' key for encrypted sums")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="what the site keeps")
    parser.set_defaults(run=run_site)


def _declare_keys(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser("keys", help="make certificates and keys")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--site", metavar="NAME", help="a site's key pair, NAME and NAME.pub")
    what.add_argument("--server", metavar="HOST", action="append", help="a server's certificates, for these addresses")
    what.add_argument("--sum", action="store_true", help="the sites' key for encrypted sums")
    parser.add_argument("--days", type=positive, default=365, help="that certificates hold (default 365)")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER")
    parser.set_defaults(run=run_keys)


def _data_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--data", required=True, type=Path, nargs="+", metavar="FILE", help=".npz or .zip")
    options.add_argument("--bundle", default="brain-mri", help="whose classes and resolution (default brain-mri)")
    options.add_argument("--split", default="train", help="of the data (default train), or all")
    options.add_argument("--policy", type=Path, metavar="FILE", help="what a site here allows, as JSON")
    return options


def run_here(arguments: argparse.Namespace, command: str) -> int:
    """Deal the data's sites out to processes, or hold all rounds in this one."""
    from core.evaluation.site_images import load_site_images
    from core.federation.in_process import InProcess

    images = load_site_images(arguments.data, arguments.bundle, arguments.split)
    names = [name for name, count in sorted(images.counts().items()) if count >= arguments.smallest]
    plan = plan_of(arguments, images)
    _check_start(arguments, plan)
    if len(names) < plan.least:
        raise ValueError(
            f"The data have {len(names)} sites with at least {arguments.smallest} scans, and a round needs "
            f"{plan.least}; give more collections, or a smaller --smallest or --least."
        )
    policy = _policy(arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.in_process:
        sites = [replace(images.site(name, name), policy=policy) for name in names]
        return _answered(arguments, plan, nullcontext(InProcess(plan, arguments.out, sites, arguments.init)))
    return _answered(arguments, plan, _processes(arguments, plan, names))


def run_server(arguments: argparse.Namespace, command: str) -> int:
    """Wait for sites elsewhere, and hold the rounds with them."""
    from core.federation.flower import check_installed
    from core.federation.flower.runner import Keys, Runner

    check_installed()
    plan = plan_of(arguments, arguments)
    _check_start(arguments, plan)
    sites = {path.stem: path for path in sorted(arguments.sites.glob("*.pub"))}
    if len(sites) < plan.least:
        raise ValueError(f"{arguments.sites} holds {len(sites)} public keys, NAME.pub; a round needs {plan.least}.")
    authority, certificate, key = map(arguments.certificates.joinpath, ("authority.pem", "server.pem", "server.key"))
    if missing := [path.name for path in (authority, certificate, key) if not path.is_file()]:
        raise ValueError(f"{arguments.certificates} lacks {', '.join(missing)}; `federate keys --server` makes them.")
    runner = Runner(plan, arguments.out, Keys(authority, certificate, key, sites), {}, len(sites), arguments.init)
    runner.host, runner.port = arguments.host, arguments.port
    return _answered(arguments, plan, nullcontext(runner))


def run_site(arguments: argparse.Namespace, command: str) -> int:
    """Be one site until told to end."""
    from core.evaluation.site_images import load_site_images
    from core.federation.encrypted import read_key
    from core.federation.flower.processes import end_with_parent
    from core.federation.flower.supernode import Connection
    from core.federation.flower.supernode import run_site as run

    begun = end_with_parent() if arguments.with_parent else None
    images = load_site_images(arguments.data, arguments.bundle, arguments.split)
    site = images.site(arguments.name, arguments.of)
    site.policy = _policy(arguments)
    site.key = read_key(arguments.sum_key) if arguments.sum_key else None
    site.folder = arguments.out
    wait = begun.wait if begun else lambda: None
    run(site, Connection(arguments.server, arguments.certificate, arguments.key, arguments.partner, wait))
    return 0


def run_keys(arguments: argparse.Namespace, command: str) -> int:
    """Make keys, and say where they lie."""
    from core.federation.encrypted import KEY, SumKey
    from core.federation.flower import check_installed
    from core.storage import write_secret

    check_installed()
    from core.federation.flower.keys import write_certificates, write_site_keys

    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        if arguments.sum:
            write_secret(arguments.out / KEY, SumKey().secret)
            print(f"{arguments.out / KEY}: for every site, by a safe way, and never for the server.")
        elif arguments.site:
            secret, public = write_site_keys(arguments.out, arguments.site)
            print(f"{secret}: the site's own, which never leaves it. {public}: for the server and the partners.")
        else:
            files = write_certificates(arguments.out, arguments.server, arguments.days)
            print(f"{files.authority}: for every site. {files.key}: the server's own, which never leaves it.")
    except FileExistsError as error:
        raise ValueError(f"{error.filename} is there already; take another folder.") from error
    return 0


def _answered(arguments: argparse.Namespace, plan: "Plan", opened: "AbstractContextManager[Runner | InProcess]") -> int:
    """Run, tell on the way what happens, and print the report; 1 where the federation failed."""
    from core.federation.coordinator import FederationError
    from core.federation.report import failed_report

    bar = progress_bar(len(plan.orders()), "round")

    def told(event: dict[str, Any]) -> None:
        if "again" in event:
            print(f"{event['again']} ended, and begins again.", file=sys.stderr)
        elif "phase" in event:
            bar.update()
            if not arguments.json:
                bar.write(_line(event))

    failed = None
    with _ending_cleanly(), opened as runner, bar:
        runner.told = told
        try:
            report = runner.run()
        except FederationError as error:
            failed, report = str(error), failed_report(arguments.out, plan, str(error))
    if arguments.json:
        print_json("federate run", report)
    elif not failed:
        print(f"Finished: {len(report['rounds'])} rounds. What is left lies in {arguments.out}.")
    if failed:
        print(f"The federation failed. {failed}", file=sys.stderr)
    return int(failed is not None)


@contextmanager
def _ending_cleanly() -> Iterator[None]:
    """Told to end, this process ends what it has started, as it does on Ctrl-C."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _line(held: dict[str, Any]) -> str:
    spent = {name: f", ε {own['epsilon']:.2f}" for name, own in held["privacy"].items()}
    took = ", ".join(f"{name} ({count}{spent.get(name, '')})" for name, count in held["took_part"].items())
    absent = "".join(f" Without {name}: {why}" for name, why in held["absent"].items())
    sizes = f"{held['bytes_down'] / 1000:.0f} kB to each, {held['bytes_up'] / 1000:.0f} kB from all"
    return f"{held['phase']} {held['number'] + 1}: {took}. {held['seconds']:.1f} s, {sizes}.{absent}"


def _processes(
    arguments: argparse.Namespace, plan: "Plan", names: list[str]
) -> "AbstractContextManager[Runner | InProcess]":
    """A server and a process a site on this machine, with keys of their own."""
    from core.federation.flower import check_installed

    check_installed()
    from core.federation.flower.local import local_runner

    program = [sys.executable, "-m", "core", "federate", "site"]
    data = ["--data", *(str(path.resolve()) for path in arguments.data)]
    data += ["--bundle", arguments.bundle, "--split", arguments.split, "--with-parent"]
    data += ["--policy", str(arguments.policy.resolve())] if arguments.policy else []
    out = arguments.out.resolve()
    commands = {
        name: [*program, name, "--of", name, *data, "--out", str(out / "sites" / str(place))]
        for place, name in enumerate(names)
    }
    return local_runner(plan, out, commands, arguments.init and arguments.init.resolve())


def _policy(arguments: argparse.Namespace) -> "Policy":
    from core.federation.policy import Policy, read_policy

    return read_policy(arguments.policy) if arguments.policy else Policy()


def _check_start(arguments: argparse.Namespace, plan: "Plan") -> None:
    """Refuse weights that are none of the plan's network, and no network to ask, before any process begins."""
    from core.federation.coordinator import read_start

    if arguments.init:
        read_start(plan, arguments.init)
    elif plan.how.asks:
        plan.first_network()
