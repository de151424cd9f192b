# SPDX-License-Identifier: BSD-2-Clause
"""Debian's kernel and busybox, fetched without being installed, and initramfs archives."""

import fcntl
import glob
import os
import re
import shutil
import stat
import subprocess
import sys

# Names that depend on the newest one: the kernel for virtual machines, and that for all.
KERNELS = {"cloud": "linux-image-cloud-amd64", "amd64": "linux-image-amd64"}
BUSYBOX = "busybox-static"
SUITE = "bookworm"
MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
# What nobody reads in a guest.  Translations that a program needs at run time are not there.
LEFT_OUT = ["doc", "info", "lintian", "locale", "man"]


def fail(text):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {text}")


def say(text):
    print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr, flush=True)


def run(*command, **options):
    try:
        done = subprocess.run(command, capture_output=True, text=True, **options)
    except FileNotFoundError:
        fail(f"no {command[0]}: this needs Debian 12 and `tools/deps run`")
    if done.returncode:
        fail(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


# --- Debian's packages -----------------------------------------------------------------

def refresh():
    """Bring apt's lists up to date, where that is permitted."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    say("apt-get update")
    try:
        subprocess.run([*sudo, "apt-get", "-q", "update"], stdout=subprocess.DEVNULL)
    except FileNotFoundError:
        pass


def kernel_package(name, again=True):
    """The package that NAME stands for today."""
    found = re.findall(r"^\s*Depends: (linux-image-\S+)",
                       subprocess.run(["apt-cache", "depends", name], capture_output=True,
                                      text=True).stdout, re.M)
    if not found and again:
        refresh()
        return kernel_package(name, again=False)
    if not found:
        fail(f"apt knows no {name}: as root, type: apt-get update")
    return found[0]


def fetch_kernel(cache, kind="cloud"):
    """Unpack a kernel under CACHE; apt is asked only once: a newer one is no reason to fetch again."""
    trees = [path for path in glob.glob(os.path.join(cache, "linux-image-*"))
             if not path.endswith((".part", ".deb"))
             and ("-cloud-" in os.path.basename(path)) == (kind == "cloud")]
    return trees[0] if trees else fetch(kernel_package(KERNELS[kind]), cache)


def vmlinuz(tree):
    return glob.glob(os.path.join(tree, "boot", "vmlinuz-*"))[0]


def locked(cache):
    """Only one process at a time fetches; the lock lives as long as what is returned."""
    os.makedirs(cache, exist_ok=True)
    lock = open(os.path.join(cache, "lock"), "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def fetch(package, cache):
    """Unpack PACKAGE under CACHE; returns where."""
    tree = os.path.join(cache, package)
    if os.path.isdir(tree):
        return tree
    say(f"fetching {package}")
    # As root apt would like another user to write here; it does without, and says so.
    download = ["apt-get", "-q", "-o", "APT::Sandbox::User=", "download", package]
    if subprocess.run(download, cwd=cache, capture_output=True).returncode:
        refresh()   # the lists may name a version that is gone
        run(*download, cwd=cache)
    debs = glob.glob(os.path.join(cache, f"{package}_*.deb"))
    shutil.rmtree(tree + ".part", ignore_errors=True)
    run("dpkg-deb", "-x", debs[0], tree + ".part")
    for deb in debs:
        os.remove(deb)
    os.rename(tree + ".part", tree)     # only a whole one has the name
    return tree


def modules_of(tree, names):
    """Files of the modules NAMES and of what they depend on, relative to TREE, and where that is."""
    release = os.path.basename(glob.glob(os.path.join(tree, "lib", "modules", "*"))[0])
    folder = os.path.join("lib", "modules", release)
    if not os.path.isfile(os.path.join(tree, folder, "modules.dep")):
        run("depmod", "-b", tree, release)
    needs = {}
    with open(os.path.join(tree, folder, "modules.dep")) as f:
        for line in f:
            path, _, others = line.partition(":")
            needs[os.path.basename(path)[:-3].replace("-", "_")] = [path, *others.split()]
    with open(os.path.join(tree, folder, "modules.builtin")) as f:
        for line in f:      # what is a module in one kernel is part of another
            needs.setdefault(os.path.basename(line.strip())[:-3].replace("-", "_"), [])
    found = []
    for name in names:
        found += [path for path in needs[name.replace("-", "_")] if path not in found]
    return folder, found


def dependencies(package):
    """PACKAGE and what it cannot do without, by apt's lists."""
    text = run("apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests",
               "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances", package)
    return sorted(set(re.findall(r"^([a-z0-9]\S*)", text, re.M)))


def fetch_with_libraries(package, cache):
    """Unpack PACKAGE and its dependencies under CACHE, into one tree; returns where."""
    tree = os.path.join(cache, package + "-and-libraries")
    if os.path.isdir(tree):
        return tree
    say(f"fetching {package} and its libraries")
    shutil.rmtree(tree + ".part", ignore_errors=True)
    debs = os.path.join(tree + ".part", "debs")
    os.makedirs(debs)
    run("apt-get", "-q", "-o", "APT::Sandbox::User=", "download", *dependencies(package), cwd=debs)
    for deb in glob.glob(os.path.join(debs, "*.deb")):
        run("dpkg-deb", "-x", deb, tree + ".part")
    shutil.rmtree(debs)
    os.rename(tree + ".part", tree)
    return tree


def libraries(tree, program):
    """What PROGRAM and its libraries load, as {name: path in TREE}."""
    found, todo = {}, [program]
    while todo:
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", todo.pop()))
        for name in needed:
            paths = glob.glob(os.path.join(tree, "**", "x86_64-linux-gnu", name), recursive=True)
            if not paths:
                fail(f"{program} needs {name}, which is in no package that it depends on")
            if name not in found:
                found[name] = os.path.realpath(paths[0])
                todo.append(found[name])
    return found


# --- a whole Debian --------------------------------------------------------------------

def sources():
    """Lines of a sources.list: the archives of Debian that apt uses here."""
    def targets():
        lines = subprocess.run(
            ["apt-get", "indextargets", "--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)",
             "Created-By: Packages"], capture_output=True, text=True).stdout
        return [line[:-len(" Debian")] for line in lines.splitlines()
                if re.match(rf"\S+ \S+ {SUITE}(-\S+)? .* Debian$", line)]
    found = targets()
    if not found:
        refresh()
        found = targets()
    if not found:
        fail(f"apt knows no archive of Debian {SUITE}: see /etc/apt/sources.list(.d), and, as root, "
             "type: apt-get update")
    return "\n".join(found) + "\n"


def environment():
    """Ours, with the proxy that apt is told to use."""
    env = dict(os.environ)
    proxy = subprocess.run(["apt-config", "shell", "P", "Acquire::http::Proxy"], capture_output=True,
                           text=True).stdout
    found = re.match(r"P='(.*)'", proxy)
    if found:
        env["http_proxy"] = found[1]
    return env


def bootstrap(archive, packages):
    """A Debian with PACKAGES, installed, as the tar file ARCHIVE."""
    command = ["mmdebstrap", "--quiet", "--variant=apt", "--include=" + ",".join(packages),
               "--hook-dir=" + MERGED_USR, "--aptopt=APT::Install-Recommends \"false\""]
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    # Whoever passes a program on has to pass its licence on.
    command += ["--dpkgopt=path-include=/usr/share/doc/*/copyright", SUITE, archive, "-"]
    say(f"installing Debian {SUITE} with {', '.join(packages)}: some minutes")
    try:
        done = subprocess.run(command, input=sources(), env=environment(), text=True)
    except FileNotFoundError:
        fail("no mmdebstrap: this needs Debian 12 and `tools/deps debian`")
    if done.returncode:
        fail("mmdebstrap failed; its last lines are above. Without root it needs the package uidmap "
             "and a line for you in /etc/subuid")


# --- the initramfs ---------------------------------------------------------------------

class Cpio:
    """An archive in the kernel's format, see "initramfs buffer format" in its documentation.

    The kernel takes several of them one after the other, so that the large one can be
    written once.
    """

    def __init__(self, path):
        self.file = open(path, "wb")
        self.folders, self.number = set(), 0

    def entry(self, name, mode, data=b"", device=(0, 0)):
        self.number += 1
        fields = [self.number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
        for part in (head, data):
            self.file.write(part + b"\0" * (-len(part) % 4))

    def parents(self, name):
        folder = os.path.dirname(name)
        if folder and folder not in self.folders:
            self.parents(folder)
            self.folders.add(folder)
            self.entry(folder, stat.S_IFDIR | 0o755)

    def add(self, name, data, mode=0o755):
        name = name.lstrip("/")
        self.parents(name)
        self.entry(name, stat.S_IFREG | mode, data)

    def add_file(self, name, path):
        with open(path, "rb") as f:
            self.add(name, f.read())

    def close(self):
        self.entry("TRAILER!!!", 0)
        self.file.write(b"\0" * (-self.file.tell() % 512))
        self.file.close()


def add_modules(archive, tree, names):
    """The kernel modules NAMES of TREE, with what modprobe needs to find them."""
    folder, paths = modules_of(tree, names)
    for path in [*paths, "modules.dep", "modules.alias", "modules.softdep", "modules.builtin",
                 "modules.order"]:
        source = os.path.join(tree, folder, path)
        if os.path.isfile(source):
            archive.add_file(os.path.join(folder, path), source)
