"""A real SLURM on this machine, in one private folder, for tests and benchmarks; gone when it is closed.

Daemons of the Debian packages run as root without systemd, cgroups or GPUs: munge for authentication, one controller,
several virtual nodes with two pretended GPUs each, and with `accounting` a database for `sacct`. Everything listens on
the loopback alone, on ports that were free at the start, and is stopped by process id.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
ACCOUNTING_PROGRAMS = ("slurmdbd", "mariadbd", "mariadb-install-db")
INSTALL = "apt-get install --no-install-recommends slurmctld slurmd slurm-client munge"
INSTALL_ACCOUNTING = "apt-get install --no-install-recommends slurmdbd mariadb-server"
REQUIRE = "TRAITGRAPH_REQUIRE_SLURM"
PATIENCE = 3
"""Factor on every time that a test waits for something: a busy machine is slow, not broken."""


def missing(accounting: bool = False) -> str | None:
    """Why no SLURM can be started here, with the line that repairs it; None when it can."""
    if not _found(PROGRAMS):
        return f"SLURM not installed: {INSTALL}"
    if accounting and not _found(ACCOUNTING_PROGRAMS):
        return f"SLURM accounting not installed: {INSTALL_ACCOUNTING}"
    if os.geteuid() != 0:
        return "the test SLURM starts its daemons as root"
    return None


def _found(programs: Sequence[str]) -> bool:
    return all(_program(name) for name in programs)


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60, step: float = 0.1) -> None:
    """Return when `condition` holds; raise TimeoutError naming `what` when it does not in time (on an idle machine)."""
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(step)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


@dataclass(frozen=True)
class Settings:
    """What tests vary; everything else of slurm.conf is fixed below."""

    nodes: int = 4
    accounting: bool = False
    max_array_size: int = 1001
    min_job_age: int = 300
    slurmd_timeout: int = 20
    grace: int = 20
    extra: tuple[str, ...] = ()


@dataclass
class SlurmCluster:
    """A running SLURM; `environment` is what its clients need."""

    root: Path
    settings: Settings
    ports: dict[str, int]
    node_ports: list[int]
    accounting: bool = field(init=False)

    def __post_init__(self) -> None:
        self.accounting = self.settings.accounting
        self._path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        self._database: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Variables for every SLURM command of this cluster, and for its daemons."""
        return {"SLURM_CONF": str(self.root / "etc/slurm.conf"), "PATH": self._path}

    @property
    def nodes(self) -> list[str]:
        """Names of the virtual nodes."""
        return [f"n{number + 1}" for number in range(self.settings.nodes)]

    def call(self, *command: str, timeout: float = 30, check: bool = True) -> str:
        """Standard output of one client command."""
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def start_node(self, name: str) -> None:
        """Start the daemon of one virtual node."""
        self._daemon("slurmd", "-N", name)

    def kill_node(self, name: str) -> None:
        """Kill the daemon of one node as a crash would; its jobs' processes stay for SLURM to find."""
        os.kill(self._pid(f"slurmd-{name}"), signal.SIGKILL)

    def restart_controller(self) -> None:
        """Stop the controller and start it again on its saved state."""
        self._stop("slurmctld")
        self._daemon("slurmctld")
        wait_until(lambda: "UP" in self.call("scontrol", "ping", check=False), "controller answers again")

    def wait_idle(self) -> None:
        """Return when every node takes jobs."""
        wait_until(lambda: len(self._ready_nodes()) == self.settings.nodes, f"nodes idle (logs in {self.root}/log)")

    def _ready_nodes(self) -> set[str]:
        return set(self.call("sinfo", "-h", "-N", "-o", "%N", "-t", "idle,mix,alloc", check=False).split())

    def start(self) -> None:
        """Write the configuration and start every daemon; return when the nodes are idle."""
        for folder in ("etc", "munge", "ctld", "spool", "run", "log", "dev", "db"):
            (self.root / folder).mkdir()
        self._write_configuration()
        self._start_munge()
        if self.settings.accounting:
            self._start_accounting()
        self._daemon("slurmctld")
        for name in self.nodes:
            self.start_node(name)
        self.wait_idle()

    def stop(self) -> None:
        """End all jobs and daemons and remove the folder."""
        with suppress(Exception):
            self.call("scancel", "--user=root", check=False, timeout=10)
            wait_until(lambda: not self.call("squeue", "-h", check=False).strip(), "jobs gone", seconds=15)
        for name in ("slurmctld", *(f"slurmd-{node}" for node in self.nodes), "slurmdbd", "mariadbd", "munged"):
            self._stop(name)
        if self._database is not None:
            self._database.wait(timeout=30)
        shutil.rmtree(self.root, ignore_errors=True)

    def _write_configuration(self) -> None:
        etc = self.root / "etc"
        (etc / "slurm.conf").write_text(slurm_conf(self))
        devices = [self.root / f"dev/fakegpu{number}" for number in range(2)]
        for device in devices:
            os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))  # a second /dev/null per pretended GPU
        files = self.root / "dev/fakegpu[0-1]"
        (etc / "gres.conf").write_text(
            f"AutoDetect=off\nNodeName=n[1-{self.settings.nodes}] Name=gpu Type=fake File={files}\n"
        )
        (etc / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        if self.settings.accounting:
            slurmdbd = etc / "slurmdbd.conf"
            slurmdbd.write_text(slurmdbd_conf(self))
            slurmdbd.chmod(0o600)

    def _start_munge(self) -> None:
        folder = self.root / "munge"
        key = folder / "key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        self._daemon(
            "munged",
            "--num-threads=2",
            f"--key-file={key}",
            f"--socket={folder}/sock",
            f"--pid-file={self.root}/run/munged.pid",
            f"--log-file={self.root}/log/munged.log",
            f"--seed-file={folder}/seed",
        )

    def _start_accounting(self) -> None:
        data, run = self.root / "db", self.root / "run"
        self._daemon(
            "mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}", "--skip-test-db", seconds=120
        )
        server = [str(_program("mariadbd")), "--no-defaults", "--user=root", f"--datadir={data}", "--skip-networking"]
        server += [f"--socket={run}/mariadb.sock", f"--pid-file={run}/mariadbd.pid"]
        with (self.root / "log/mariadbd.log").open("wb") as log:
            self._database = subprocess.Popen(server, stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: (run / "mariadb.sock").exists(), "database answers")
        self._daemon("slurmdbd", variables={"MYSQL_UNIX_PORT": f"{run}/mariadb.sock"})
        wait_until(lambda: self._accepts(self.ports["dbd"]), "slurmdbd answers")
        self.call("sacctmgr", "-i", "add", "cluster", "lab", timeout=60)
        self.call("sacctmgr", "-i", "add", "account", "lab", "cluster=lab", timeout=60)
        self.call("sacctmgr", "-i", "add", "user", "root", "account=lab", timeout=60, check=False)

    @staticmethod
    def _accepts(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def _daemon(
        self, name: str, *options: str, seconds: float = 30, variables: Mapping[str, str] | None = None
    ) -> None:
        """Run a program that forks its daemon and returns."""
        with (self.root / f"log/{name}.start.log").open("ab") as log:
            environment = {**os.environ, **self.environment, **(variables or {})}
            command = [str(_program(name)), *options]
            subprocess.run(command, env=environment, stdout=log, stderr=log, timeout=seconds, check=True)

    def _pid(self, name: str) -> int:
        return int((self.root / f"run/{name}.pid").read_text())

    def _stop(self, name: str) -> None:
        program = name.partition("-")[0]
        with suppress(OSError, ValueError):
            pid = self._pid(name)
            for number in (signal.SIGTERM, signal.SIGKILL):
                if not _is_running(pid, program):
                    return
                os.kill(pid, number)
                with suppress(TimeoutError):
                    wait_until(lambda: not _is_running(pid, program), f"{name} stopped", seconds=10, step=0.05)


def _is_running(pid: int, program: str) -> bool:
    """Whether the process lives and still is that program; a zombie that nobody reaps does not live."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:
        return False
    return "State:\tZ" not in status and Path(command).name == program


def slurm_conf(cluster: SlurmCluster) -> str:
    """slurm.conf of a whole cluster on one host: loopback only, no cgroups, four partitions of one set of nodes."""
    root, settings, host = cluster.root, cluster.settings, socket.gethostname().partition(".")[0]
    munge = root / "munge/sock"
    accounting = ["AccountingStorageType=accounting_storage/none"]
    if settings.accounting:
        accounting = [
            "AccountingStorageType=accounting_storage/slurmdbd",
            "AccountingStorageHost=127.0.0.1",
            f"AccountingStoragePort={cluster.ports['dbd']}",
            f"AccountingStoragePass={munge}",
            "AccountingStorageTRES=gres/gpu",
            "AccountingStorageEnforce=associations,limits,qos",
        ]
    lines = [
        "ClusterName=lab",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={cluster.ports['ctld']}",
        f"SlurmdPort={cluster.ports['slurmd']}",
        "AuthType=auth/munge",
        f"AuthInfo=socket={munge},cred_expire=5",  # a requeued job waits cred_expire + 1 s; 5 is the least
        "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny",
        "SlurmctldParameters=preempt_send_user_signal",
        "SlurmUser=root",
        "SlurmdUser=root",
        f"StateSaveLocation={root}/ctld",
        f"SlurmdSpoolDir={root}/spool/%n",
        f"SlurmctldPidFile={root}/run/slurmctld.pid",
        f"SlurmdPidFile={root}/run/slurmd-%n.pid",
        f"SlurmctldLogFile={root}/log/slurmctld.log",
        f"SlurmdLogFile={root}/log/slurmd-%n.log",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "SwitchType=switch/none",
        "MpiDefault=none",
        "JobAcctGatherType=jobacct_gather/none",
        "SlurmdParameters=config_overrides",  # eight CPUs a node on any machine
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_CPU_Memory",
        "DefMemPerCPU=100",
        "SchedulerType=sched/backfill",
        "SchedulerParameters=sched_min_interval=100000,sched_interval=2,bf_interval=1,batch_sched_delay=0",
        "PriorityType=priority/basic",
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        "GresTypes=gpu",
        "JobRequeue=1",
        "ReturnToService=2",
        "KillWait=5",
        f"MinJobAge={settings.min_job_age}",
        f"MaxArraySize={settings.max_array_size}",
        "SlurmctldTimeout=60",
        f"SlurmdTimeout={settings.slurmd_timeout}",
        *accounting,
        *settings.extra,
        f"NodeName=n[1-{settings.nodes}] NodeHostname={host} NodeAddr=127.0.0.1"
        f" Port=[{_ranges(cluster.node_ports)}] CPUs=8 RealMemory=8000 Gres=gpu:fake:2 State=UNKNOWN",
        "PartitionName=gpu Nodes=ALL Default=YES DefaultTime=60 MaxTime=1440 PriorityTier=10 PreemptMode=OFF State=UP",
        "PartitionName=preempt Nodes=ALL Default=NO DefaultTime=60 PriorityTier=1 PreemptMode=REQUEUE"
        f" GraceTime={settings.grace} State=UP",
        "PartitionName=short Nodes=ALL DefaultTime=5 MaxTime=30 PriorityTier=10 PreemptMode=OFF State=UP",
        "PartitionName=harsh Nodes=ALL DefaultTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0 State=UP",
    ]
    return "\n".join(lines) + "\n"


def slurmdbd_conf(cluster: SlurmCluster) -> str:
    """slurmdbd.conf of the accounting daemon, beside its own database."""
    root = cluster.root
    lines = [
        "AuthType=auth/munge",
        f"AuthInfo=socket={root}/munge/sock",
        "DbdHost=localhost",
        "DbdAddr=127.0.0.1",
        f"DbdPort={cluster.ports['dbd']}",
        "CommunicationParameters=NoInAddrAny",
        "SlurmUser=root",
        "StorageType=accounting_storage/mysql",
        "StorageHost=localhost",
        "StorageUser=root",
        "StorageLoc=slurm_acct_db",
        f"LogFile={root}/log/slurmdbd.log",
        f"PidFile={root}/run/slurmdbd.pid",
    ]
    return "\n".join(lines) + "\n"


def _ranges(ports: Sequence[int]) -> str:
    return ",".join(str(port) for port in ports)


@contextmanager
def running(settings: Settings | None = None) -> Iterator[SlurmCluster]:
    """A SLURM for the time of the block."""
    settings = settings or Settings()
    root = Path(tempfile.mkdtemp(prefix="tg-slurm-", dir="/tmp"))  # unix sockets need a short path
    root.chmod(0o755)
    controller, slurmd, dbd, *nodes = free_ports(3 + settings.nodes)
    cluster = SlurmCluster(root, settings, {"ctld": controller, "slurmd": slurmd, "dbd": dbd}, nodes)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
