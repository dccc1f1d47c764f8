# SPDX-License-Identifier: Apache-2.0
"""wire.py: contenders as child processes that answer JSON lines, and the virtual environments they live in.

Method: one request, one answer, in order. Python peers run adapters.py in the virtual environment of their own below
build/peers; ours is `hpt serve`. Every request is timed here, from the write to the answer, with one clock for all; a
child that dies, hangs or answers nonsense raises PeerError, which the caller books as a result. Import and start lie
outside: a child is asked for nothing before it said that it is ready.
"""
import contextlib
import fcntl
import json
import os
import pathlib
import selectors
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLACE = ROOT / "build/peers"

# Virtual environments: what has to be there, as arguments of one pip after the other, and what is nice to have. torch is
# large (PyPI's wheel for Linux brings CUDA's libraries too: 2 GB to download, 5.7 GB on disk), so those environments are
# made only for peers that were named. HEBO's own list of dependencies (numpy below 1.25 beside the newest of all else)
# keeps pip searching for longer than anybody waits; these are versions of one time that go together, without GPy and
# CatBoost, which only other models of it need. pymoo without its build tools is installed without its compiled half.
ENVIRONMENTS = {
    "base": ([["numpy", "scipy", "matplotlib", "scikit-learn", "optuna>=5,<6", "cma", "cmaes"]], ["coco-experiment"]),
    "skopt": ([["scikit-optimize"]], []),
    "torch": ([["numpy", "scipy", "optuna>=5,<6", "torch", "botorch"]], []),
    "hebo": (
        [
            ["numpy<1.25", "pandas<2.1", "scipy<1.11", "scikit-learn<1.4", "torch<2.7", "gpytorch<1.12", "matplotlib<3.9", "cma==3.2.2",
             "autograd", "dill", "Deprecated", "alive-progress", "disjoint-set", "cython<3", "setuptools<66", "wheel"],
            ["--no-deps", "--no-build-isolation", "--no-binary=pymoo", "pymoo==0.6.0", "HEBO==0.3.6"],
        ],
        [],
    ),
    "smac": ([["smac"]], []),
}  # fmt: skip
# name -> (environment, adapter, takes seconds an ask)
PEERS = {
    "hpt-auto": (None, "auto", False),
    "hpt-gp": (None, "gp", False),
    "hpt-tpe": (None, "tpe", False),
    "hpt-random": (None, "random", False),
    "optuna-gp": ("torch", "OptunaGP", False),
    "optuna-tpe": ("base", "OptunaTPE", False),
    "optuna-tpe-mv": ("base", "OptunaTPEMultivariate", False),
    "optuna-cma": ("base", "OptunaCMA", False),
    "optuna-random": ("base", "OptunaRandom", False),
    "botorch": ("torch", "BoTorch", True),
    "hebo": ("hebo", "Hebo", True),
    "smac-hpo": ("smac", "SmacHPO", True),
    "smac-bb": ("smac", "SmacBB", True),
    "skopt": ("skopt", "Skopt", False),
    "cma": ("base", "PyCMA", False),
    "random": ("base", "Random", False),
}


INSTALL_S = 1200


class PeerError(Exception):
    """A contender failed: kind is `crash`, `timeout`, `invalid` or `refused`."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


def python_of(environment):
    return PLACE / environment / "bin/python"


@contextlib.contextmanager
def alone(environment):
    """Two runs that start together would install into each other's half-made environment: one waits for the other."""
    PLACE.mkdir(parents=True, exist_ok=True)
    with open(PLACE / f"{environment}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(environment, log=sys.stderr):
    """Makes the environment if it is not there yet; None, or one line that says why it cannot be had."""
    with alone(environment):
        return install_alone(environment, log)


def install_alone(environment, log):
    folder, stamp = PLACE / environment, PLACE / environment / "installed.json"
    if stamp.exists():
        return None
    needed, wanted = ENVIRONMENTS[environment]
    names = ", ".join([p for call in needed for p in call if not p.startswith("-")] + wanted)
    print(f"installing {names} from PyPI into build/peers/{environment}", file=log)
    pip = [str(python_of(environment)), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    missing = []
    try:
        if not python_of(environment).exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True, text=True)
        for call in needed:
            subprocess.run([*pip, *call], check=True, capture_output=True, text=True, timeout=INSTALL_S)
        for package in wanted:
            if subprocess.run([*pip, package], capture_output=True, text=True).returncode:
                missing.append(package)
    except subprocess.TimeoutExpired:
        return f"{names} could not be installed in {INSTALL_S // 60} minutes"
    except subprocess.CalledProcessError as e:
        lines = [line for line in (e.stderr or "").splitlines() if line.strip()]
        text = next((line for line in lines if line.lower().startswith("error")), lines[-1] if lines else str(e))
        return f"{names} cannot be installed: {text.strip()[:300]}"
    stamp.write_text(json.dumps({"missing": missing}) + "\n")
    return None


class Process:
    """A child that answers one JSON line for one JSON line."""

    def __init__(self, command, environ=None):
        self.stderr = tempfile.TemporaryFile()
        try:
            self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.stderr, env=environ)
        except OSError as e:
            raise PeerError("refused", f"{command[0]} does not start: {e.strerror}") from e
        self.buffer = b""
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.child.stdout, selectors.EVENT_READ)

    def request(self, message, timeout):
        """The answer, and the seconds it took from the write on."""
        line = (json.dumps(message) + "\n").encode()
        begin = time.perf_counter()
        try:
            self.child.stdin.write(line)
            self.child.stdin.flush()
        except OSError:
            raise PeerError("crash", self.last_words()) from None
        answer = self.read_line(begin + timeout, timeout)
        seconds = time.perf_counter() - begin
        try:
            answer = json.loads(answer)
        except ValueError:
            raise PeerError("crash", f"not a JSON answer: {answer[:200]!r}") from None
        if not isinstance(answer, dict) or not answer.get("ok"):
            text = answer.get("error", answer) if isinstance(answer, dict) else answer
            raise PeerError("refused", str(text)[:300])
        return answer, seconds

    def read_line(self, deadline, timeout):
        while b"\n" not in self.buffer:
            if not self.selector.select(max(0.0, deadline - time.perf_counter())):
                raise PeerError("timeout", f"no answer in {timeout:g} s")
            piece = os.read(self.child.stdout.fileno(), 1 << 16)
            if not piece:
                raise PeerError("crash", self.last_words())
            self.buffer += piece
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def last_words(self):
        """What a dead child left: the last line of its errors, or its status."""
        try:
            status = self.child.wait(5)
        except subprocess.TimeoutExpired:
            return "closed its pipe"
        self.stderr.seek(0)
        lines = [line for line in self.stderr.read().decode(errors="replace").splitlines() if line.strip()]
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return f"{lines[-1].strip()[:300]} ({how})" if lines else how

    def usage(self):
        """(CPU seconds, peak resident MiB) of the child so far; (None, None) where the system does not tell."""
        try:
            fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
            cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
            peak = next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), None)
            return cpu, peak
        except (OSError, ValueError, IndexError):
            return None, None

    def close(self):
        self.selector.close()
        for pipe in (self.child.stdin, self.child.stdout):
            try:
                pipe.close()
            except OSError:
                pass
        try:
            self.child.wait(2)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.stderr.close()


class PythonPeer:
    """A contender of adapters.py."""

    def __init__(self, name, options, command=None):
        environment, adapter, _ = PEERS.get(name, (None, name, False))
        self.timeout = options.timeout
        command = command or [getattr(options, "python", None) or str(python_of(environment)), str(HERE / "adapters.py"), adapter]
        self.process = Process(command, environ_of(options))
        self.version = None

    def start(self, space, seed, budget):
        answer, seconds = self.process.request({"op": "start", "space": space, "seed": seed, "budget": budget}, 300)
        self.version = answer.get("version")
        return seconds

    def load(self, points, values):
        return self.process.request({"op": "load", "points": points, "values": values}, 3600)[1]

    def ask(self):
        answer, seconds = self.process.request({"op": "ask"}, self.timeout)
        return answer["x"], seconds

    def tell(self, y):
        return self.process.request({"op": "tell", "y": y}, self.timeout)[1]

    def close(self):
        self.process.close()


class HptPeer:
    """Ours, through `hpt serve`."""

    def __init__(self, name, options):
        self.sampler, self.timeout = PEERS[name][1], options.timeout
        self.process = Process([options.hpt, "serve"], environ_of(options))
        self.version = hpt_version(options.hpt)
        self.number = None

    def start(self, space, seed, budget):
        parameters = {}
        for p in space:
            if p["type"] == "cat":
                q = {"values": p["choices"]}
            else:
                law = "log_uniform_values" if p["log"] else "uniform"
                q = {"distribution": "int_uniform" if p["type"] == "int" else law, "min": p["low"], "max": p["high"]}
                if p["type"] == "int" and p["log"]:
                    q["hpt:log"] = True
            if p["when"]:
                q["hpt:when"] = {p["when"][0]: p["when"][1]}
            parameters[p["name"]] = q
        message = {"op": "create", "sampler": self.sampler, "seed": seed, "parameters": parameters}
        if budget:
            message["n_trials"] = budget
        return self.process.request(message, 300)[1]

    def load(self, points, values):
        """Tells points that another chose."""
        total = 0.0
        for x, y in zip(points, values):
            total += self.process.request({"op": "enqueue", "params": x}, self.timeout)[1]
            got, seconds = self.ask()
            total += seconds + self.tell(y)
            if any(abs(got[k] - x[k]) > 1e-9 * abs(x[k]) for k in x if isinstance(x[k], float)):
                raise PeerError("invalid", f"enqueued {x}, got {got}")
        return total

    def ask(self):
        answer, seconds = self.process.request({"op": "ask"}, self.timeout)
        if not answer["trials"]:
            raise PeerError("refused", "says that the space is exhausted")
        self.number = answer["trials"][0]["number"]
        return answer["trials"][0]["params"], seconds

    def tell(self, y):
        return self.process.request({"op": "tell", "trial": self.number, "value": y}, self.timeout)[1]

    def close(self):
        self.process.close()


_versions = {}


def hpt_version(program):
    if program not in _versions:
        out = subprocess.run([program, "version"], capture_output=True, text=True)
        _versions[program] = out.stdout.splitlines()[0] if out.returncode == 0 and out.stdout else "hpt"
    return _versions[program]


def environ_of(options):
    """The children's environment: --threads n holds every library to n threads, 0 leaves them to themselves. --gpu: both
    sides on the first GPU; otherwise no library sees one."""
    environ = dict(os.environ, PYTHONUNBUFFERED="1")
    if getattr(options, "gpu", False):
        environ.update(HPT_DEVICE="cuda", PEER_DEVICE="cuda")
    else:
        environ["CUDA_VISIBLE_DEVICES"] = ""
    if options.threads:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
            environ[name] = str(options.threads)
    return environ


def make(name, options):
    return (HptPeer if name.startswith("hpt-") else PythonPeer)(name, options)


def find_hpt(given):
    """The program `hpt`: the one named, build/release's, or a fresh build of that."""
    program = pathlib.Path(given) if given else ROOT / "build/release/bin/hpt"
    if not program.exists():
        if given:
            sys.exit(f"{given}: no such program")
        subprocess.run([str(ROOT / "scripts/hpt"), "version"], check=True, stdout=subprocess.DEVNULL)
    return str(program.resolve())


def into_base(script):
    """Goes on in build/peers/base, where numpy, matplotlib, COCO and scikit-learn are; makes it first if need be."""
    if pathlib.Path(sys.prefix).resolve() == (PLACE / "base").resolve():
        return
    why = install("base")
    if why:
        sys.exit(why)
    os.execv(python_of("base"), [str(python_of("base")), script, *sys.argv[1:]])


def gpu_name():
    """The first GPU as nvidia-smi calls it."""
    out = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True)
    return (out.stdout.splitlines() or ["a GPU"])[0]


def machine():
    """This machine in a few words, for the head of a report."""
    import platform

    cpu = platform.processor() or platform.machine()
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}"
