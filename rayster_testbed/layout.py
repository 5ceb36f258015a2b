"""Where a testbed keeps what: the files of its state directory, its addresses and its sites."""

from __future__ import annotations

import json
import random
import secrets
from dataclasses import dataclass
from pathlib import Path

from rayster_testbed.ports import claim, free_ports
from rayster_testbed.short_path import short_path

# The checkout: jupyterhub_config.py and helm-values/ are used as they lie there.
REPOSITORY = Path(__file__).resolve().parent.parent
CLOUD_NODE = "cloud-0"
HUB_NAME = "hub"
SERVICE_NAME = "service"
# Where the proxy shows the service.
SERVICE_PREFIX = "/services/rayster/"
# Who can log in to the demo, and the groups they are in.
DEMO_USERS = {"ada": ("leonardo", "padova"), "bruno": ()}


@dataclass(frozen=True)
class Site:
    """One interLink virtual node; the amounts are what it offers to the scheduler."""

    name: str
    accelerator: str = ""


SITES = (
    Site("leonardo-booster", accelerator="nvidia.com/gpu=8:a100"),
    Site("leonardo-dcgp"),
    Site("padova"),
)


@dataclass(frozen=True)
class Addresses:
    """The TCP ports of one run, all on loopback except the public one, and the network of the cloud pods."""

    public_host: str
    public_port: int
    apiserver: int
    hub: int
    proxy_api: int
    service: int
    plugins: dict[str, int]
    agents: dict[str, int]
    pod_cidr: str
    # What a profile may use as the network of its Ray nodes, as if every node of a site had a card in it.
    ray_cidr: str

    @property
    def api_url(self) -> str:
        """Where the Kubernetes API is."""
        return f"https://127.0.0.1:{self.apiserver}"

    @property
    def public_url(self) -> str:
        """What a person types into a browser on this machine."""
        host = "127.0.0.1" if self.public_host in ("0.0.0.0", "") else self.public_host  # noqa: S104
        return f"http://{host}:{self.public_port}"


def choose_addresses(host: str, port: int | None) -> Addresses:
    """Return ports and networks that no other testbed of this machine has.

    Args:
        host: the address that the public port listens on.
        port: the public port; None for any free one.
    """
    public, apiserver, hub, proxy_api, service, *others = free_ports(5 + 2 * len(SITES), without=(port,))
    names = [site.name for site in SITES]
    return Addresses(
        public_host=host,
        public_port=port or public,
        apiserver=apiserver,
        hub=hub,
        proxy_api=proxy_api,
        service=service,
        plugins=dict(zip(names, others[: len(names)], strict=True)),
        agents=dict(zip(names, others[len(names) :], strict=True)),
        pod_cidr=_loopback_network(),
        ray_cidr=_loopback_network(),
    )


def _loopback_network() -> str:
    # 127.0.0.0/8 is all loopback on Linux. The first addresses are what other programs take by habit.
    for number in random.SystemRandom().sample(range(20, 250), k=230):
        if claim(f"pod-network-{number}"):
            return f"127.{number}.0.0/16"
    raise OSError("no loopback network is left for one more testbed")


class Layout:
    """The state directory, by name."""

    def __init__(self, state_dir: Path) -> None:
        self.root = state_dir.absolute()
        self.tokens = self.root / "pki" / "tokens.csv"
        self.pki = self.root / "pki"
        self.slurm = self.root / "slurm"
        self.hub = self.root / "hub"
        self.homes = self.root / "homes"
        self.profiles = self.root / "profiles.yaml"
        # Stands for a file of the images: containers see the files of this machine.
        self.ray_bash_env = self.root / "ray" / "skip-gcs-wait.sh"
        self.password = self.root / "password"
        self.lock = self.root / "lock"
        self.summary = self.root / "testbed.json"
        self.unclean = self.root / "run" / "unclean"

    def kubeconfig(self, identity: str) -> Path:
        """The kubeconfig file of an identity."""
        return self.root / "kubeconfig" / f"{identity}.yaml"

    def data(self, part: str) -> Path:
        """Where a part keeps its own."""
        return self.root / "data" / part

    def names(self) -> Path:
        """Where containers find the names of the cluster; a plain word, for it goes into PYTHONPATH."""
        return short_path(self.root) / self.data("cluster-names").relative_to(self.root)

    def agent_token(self, site: str) -> Path:
        """The file with the one secret between a site's agent and the hub's side; `secret` makes it."""
        return self.secret_file(f"{site}-agent-token")

    def slurm_ready(self) -> Path:
        """The file that the batch system writes once it works."""
        return self.root / "run" / "slurm.ready"

    def secret(self, name: str) -> str:
        """Return a secret that is made at the first start and kept, readable by its owner only."""
        return _kept_secret(self.secret_file(name), lambda: secrets.token_hex(32))

    def secret_file(self, name: str) -> Path:
        """The file of a secret."""
        return self.pki / name

    def demo_password(self) -> str:
        """Return the password of the demo's users."""
        # 12 characters of a 32-letter alphabet without look-alikes: 60 bits, and still typed by hand.
        alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
        return _kept_secret(self.password, lambda: "".join(secrets.choice(alphabet) for _ in range(12)))

    def write_summary(self, content: dict[str, object]) -> None:
        """Keep what others need to know of the running testbed."""
        self.summary.write_text(json.dumps(content, indent=2))

    def read_summary(self) -> dict:
        """Return what `write_summary` kept; empty when there is nothing to read."""
        try:
            return json.loads(self.summary.read_text())
        except (OSError, ValueError):
            return {}


def profile_words(addresses: Addresses, layout: Layout) -> dict[str, str]:
    """Return what stands for `${…}` in a profiles file.

    `STATE`, `RAY_NETWORK`, `RAY_BASH_ENV`, and `<SITE>_AGENT` and `<SITE>_TOKEN` of each site.
    """
    # A profile's paths are plain words; the state directory may not be one.
    state = short_path(layout.root)
    words = {
        "STATE": str(state),
        "RAY_NETWORK": addresses.ray_cidr,
        "RAY_BASH_ENV": str(state / layout.ray_bash_env.relative_to(layout.root)),
    }
    for site in SITES:
        name = site.name.upper().replace("-", "_")
        words[f"{name}_AGENT"] = f"http://127.0.0.1:{addresses.agents[site.name]}"
        words[f"{name}_TOKEN"] = str(state / layout.agent_token(site.name).relative_to(layout.root))
    return words


def _kept_secret(file: Path, make) -> str:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(make() + "\n")
        draft.replace(file)
    return file.read_text().strip()
