# SPDX-License-Identifier: BSD-2-Clause
"""guest-driver/loader/menu.sh: what the loader takes from a disk's GRUB, Boot Loader Specification files or links."""

import os
import shutil
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SAMPLES = os.path.join(TOP, "tests", "tools", "loader")
BUSYBOX = os.path.join(TOP, "build", "nested", "busybox-static", "bin", "busybox")


def shells():
    """The host's, and that of the loader if `make loader` has fetched it."""
    return [["sh"]] + ([[BUSYBOX, "sh"]] if os.path.exists(BUSYBOX) else [])


class Disk(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name

    def put(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def sample(self, name, path="boot/grub/grub.cfg"):
        os.makedirs(os.path.dirname(os.path.join(self.root, path)), exist_ok=True)
        shutil.copy(os.path.join(SAMPLES, name), os.path.join(self.root, path))

    def run_in(self, shell, command):
        path = os.environ["PATH"]
        if shell[0] == BUSYBOX:     # its own awk, and not the host's
            tools = os.path.join(self.root, "..", os.path.basename(self.root) + ".bin")
            if not os.path.isdir(tools):
                os.mkdir(tools)
                self.addCleanup(shutil.rmtree, tools)
                for name in ("awk", "sed", "tail", "readlink"):
                    os.symlink(BUSYBOX, os.path.join(tools, name))
            path = tools
        return subprocess.run([*shell, "-c", f". {TOP}/guest-driver/loader/menu.sh; {command}"], text=True,
                              capture_output=True, env={"PATH": path, "LOADER": f"{TOP}/guest-driver/loader"})

    def menu(self):
        """[{field: value}] of the entries and {field: value} of the menu, the same by all shells; None: none."""
        said = [self.run_in(shell, f'read_menu "{self.root}" /dev/vda') for shell in shells()]
        self.assertEqual([done.stderr for done in said], [""] * len(said))
        self.assertEqual(len({done.stdout for done in said}), 1)
        if said[0].returncode:
            return None
        entries, whole = [], {}
        for line in said[0].stdout.splitlines():
            name, _, value = line.partition(" ")
            if name == "entry":
                entries.append({})
            elif name in ("default", "missing", "from"):
                whole[name] = value
            else:
                entries[-1][name] = value
        return entries, whole

    def default(self):
        entries, whole = self.menu()
        return entries[int(whole["default"]) - 1]


class Grub(Disk):
    def test_debian(self):
        self.sample("debian.cfg")
        entries, whole = self.menu()
        self.assertEqual(whole, {"default": "1", "from": "/boot/grub/grub.cfg"})
        self.assertEqual(entries[0], {
            "position": "0", "id": "gnulinux-simple-0d5f1c3a-5a4e-4c8c-9c3b-8f6f2f0d9f11",
            "title": "Debian GNU/Linux", "linux": "/boot/vmlinuz-6.1.0-40-cloud-amd64",
            "initrd": "/boot/initrd.img-6.1.0-40-cloud-amd64",
            "options": "root=UUID=0d5f1c3a-5a4e-4c8c-9c3b-8f6f2f0d9f11 ro console=ttyS0"})
        self.assertEqual([e["position"] for e in entries], ["0", "1>0", "1>1", "1>2", "1>3"])
        self.assertEqual(entries[2]["title"], "Debian GNU/Linux, with Linux 6.1.0-40-cloud-amd64 (recovery mode)")

    def choose(self, default, grubenv=None):
        with open(os.path.join(SAMPLES, "debian.cfg")) as f:
            self.put("boot/grub/grub.cfg", f.read().replace('set default="0"', f"set default={default}"))
        if grubenv is not None:
            self.put("boot/grub/grubenv", "# GRUB Environment Block\n" + grubenv + "#" * 900)
        return self.default()["position"]

    def test_a_default_by_position_identifier_and_title(self):
        self.assertEqual(self.choose('"1>2"'), "1>2")
        self.assertEqual(self.choose('"Advanced options for Debian GNU/Linux>Debian GNU/Linux, with '
                                     'Linux 6.1.0-38-cloud-amd64"'), "1>2")
        self.assertEqual(self.choose("'gnulinux-advanced-0d5f1c3a-5a4e-4c8c-9c3b-8f6f2f0d9f11>gnulinux-6.1.0-38-"
                                     "cloud-amd64-advanced-0d5f1c3a-5a4e-4c8c-9c3b-8f6f2f0d9f11'"), "1>2")
        # A submenu: its first entry.
        self.assertEqual(self.choose("1"), "1>0")

    def test_a_saved_default(self):
        self.assertEqual(self.choose('"${saved_entry}"', "saved_entry=1>3\n"), "1>3")
        self.assertEqual(self.choose('"${saved_entry}"', ""), "0")

    def test_what_is_meant_for_one_boot_is_not_for_all(self):
        self.assertEqual(self.choose('"${saved_entry}"', "saved_entry=1>1\nnext_entry=1>3\n"), "1>1")

    def test_a_branch_that_sets_no_default_takes_none_away(self):
        self.put("boot/grub/grub.cfg", 'set default=1\nif [ "${next_entry}" ]; then set default="${next_entry}"; fi\n'
                 "menuentry a {\nlinux /a\n}\nmenuentry b {\nlinux /b\n}\n")
        self.assertEqual(self.default()["linux"], "/b")

    def test_a_default_that_there_is_not(self):
        self.assertEqual(self.choose('"7"'), "0")
        self.assertEqual(self.menu()[1]["missing"], "7")

    def test_what_starts_no_linux_has_a_position_and_is_no_entry(self):
        self.put("boot/grub/grub.cfg", "menuentry 'UEFI Firmware Settings' { fwsetup }\n"
                 "menuentry Linux { linux /vmlinuz a b ; initrd /one (hd0,gpt2)/two }\n")
        entries, whole = self.menu()
        self.assertEqual([(e["position"], e["title"], e["initrd"]) for e in entries],
                         [("1", "Linux", "/one /two")])
        self.assertEqual((whole["default"], whole["missing"]), ("1", "0"))

    def test_quotes_variables_and_long_lines(self):
        self.put("boot/grub/grub.cfg", "set more='quiet \"x\"'\nset k=/boot\n# menuentry no {\n"
                 "menuentry 'It'\\''s a \"title\" > x' --id=one \\\n --unrestricted {\n"
                 "\tlinux ($root)${k}/vmlinuz $more a=\"b c\" d\\ e $unknown \"$unknown\"f # note\n"
                 "\tif [ x = y ]; then initrd $k/initrd; else initrd /other; fi\n}\n")
        entry = self.default()
        self.assertEqual(entry["title"], "It's a \"title\" > x")
        self.assertEqual(entry["linux"], "/boot/vmlinuz")
        self.assertEqual(entry["initrd"], "/boot/initrd")
        self.assertEqual(entry["options"], '"quiet "x"" "a=b c" "d e" f')

    def test_ubuntus_entry_with_and_without_an_initrd(self):
        self.sample("ubuntu.cfg")
        entry = self.default()
        self.assertEqual(entry["linux"], "/boot/vmlinuz-5.15.0-1052-kvm")
        self.assertEqual(entry["initrd"], "/boot/initrd.img-5.15.0-1052-kvm")
        self.assertEqual(entry["options"], "root=LABEL=cloudimg-rootfs ro console=tty1 console=ttyS0")

    def test_a_file_system_for_boot_alone(self):
        self.sample("debian.cfg", "grub/grub.cfg")
        self.assertEqual(self.menu()[1]["from"], "/grub/grub.cfg")

    def test_damaged_files_end(self):
        for text in ("menuentry 'open {\n linux /x", "}\n}\n{ {\n", "menuentry", "menuentry a {\nlinux\n}\n",
                     "linux /x\n", "set\nset =\n$", 'menuentry "$', "submenu a { submenu b {"):
            self.put("boot/grub/grub.cfg", text)
            self.assertIsNone(self.menu(), text)


class Bls(Disk):
    def entry(self, name, **fields):
        self.put(f"boot/loader/entries/{name}.conf",
                 "# an entry\n" + "".join(f"{key.replace('_', '-')}\t {value}\n" for key, value in fields.items()))

    def test_the_newest_comes_first(self):
        for version in ("6.1.9", "6.1.40", "5.10.100"):
            self.entry("m-" + version, title="Linux " + version, version=version, linux="/vmlinuz-" + version,
                       initrd="/initrd-" + version, options="root=/dev/vda ro")
        entries, whole = self.menu()
        self.assertEqual([e["linux"] for e in entries], ["/vmlinuz-6.1.40", "/vmlinuz-6.1.9", "/vmlinuz-5.10.100"])
        self.assertEqual(whole, {"default": "1", "from": "/boot/loader/entries"})
        self.assertEqual(entries[0]["options"], "root=/dev/vda ro")

    def test_the_default_of_loader_conf_and_of_grubenv(self):
        self.entry("a-1", linux="/a", options="x $kernelopts y")
        self.entry("b-2", linux="/b")
        self.entry("c-3", title="no kernel")
        self.put("boot/grub/grubenv", "saved_entry=a-1\nkernelopts=root=/dev/vda1 ro\n")
        self.assertEqual(self.default()["linux"], "/a")
        self.assertEqual(self.default()["options"], "x root=/dev/vda1 ro y")
        self.put("boot/loader/loader.conf", "timeout 3\ndefault b-*\n")
        self.assertEqual(self.default()["linux"], "/b")
        self.put("boot/loader/loader.conf", "default a.1\n")
        self.assertEqual(self.menu()[1]["missing"], "a.1")

    def test_those_with_a_sort_key_come_first(self):
        self.entry("z-9", linux="/late", version="9")
        self.entry("a-1", linux="/early", version="1", sort_key="debian")
        self.assertEqual(self.default()["linux"], "/early")

    def test_grub_comes_before_it_if_it_has_entries(self):
        self.entry("a", linux="/bls")
        self.put("boot/grub/grub.cfg", "blscfg\n")
        self.assertEqual(self.default()["linux"], "/bls")
        self.put("boot/grub/grub.cfg", "menuentry a { linux /grub }\n")
        self.assertEqual(self.default()["linux"], "/grub")


class Links(Disk):
    def test_debians_links(self):
        self.put("boot/vmlinuz-1", "")
        self.put("boot/initrd.img-1", "")
        os.symlink("boot/vmlinuz-1", os.path.join(self.root, "vmlinuz"))
        os.symlink("boot/initrd.img-1", os.path.join(self.root, "initrd.img"))
        os.symlink("boot/vmlinuz-0", os.path.join(self.root, "vmlinuz.old"))
        entries, whole = self.menu()
        self.assertEqual(entries[0]["linux"], "/vmlinuz")
        self.assertEqual(entries[0]["initrd"], "/initrd.img")
        self.assertEqual(entries[0]["options"], "root=/dev/vda ro console=ttyS0")
        self.assertEqual((entries[1]["linux"], entries[1]["initrd"]), ("/vmlinuz.old", ""))
        self.assertEqual(whole["default"], "1")

    def test_nothing(self):
        self.assertIsNone(self.menu())


class Files(Disk):
    def real(self, path):
        said = {self.run_in(shell, f'real_file "{self.root}" {path}').stdout for shell in shells()}
        self.assertEqual(len(said), 1)
        return said.pop().removeprefix(self.root).strip()

    def test_links_are_followed_on_the_disk_and_not_out_of_it(self):
        self.put("boot/k", "")
        for name, target in (("relative", "boot/k"), ("absolute", "/boot/k"), ("twice", "relative"),
                             ("out", "../../../../../../../etc/passwd"), ("host", "/etc/passwd"), ("round", "round")):
            os.symlink(target, os.path.join(self.root, name))
        self.assertEqual([self.real("/" + n) for n in ("boot/k", "relative", "absolute", "twice")], ["/boot/k"] * 4)
        self.assertEqual([self.real("/" + n) for n in ("out", "host", "round", "none", "boot")], [""] * 5)


if __name__ == "__main__":
    unittest.main()
