#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""A virtual machine with a kernel of its own: QEMU, and what runs in it.

It is booted from the images of ``tools.vm_images``. What it gets of this
machine is read only: its root file system, the kernel's modules, the folder
``tests/vm/guest``, and what a test shares. It has no disk, and no network
unless a test gives it one.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import json
import os
import pathlib
import socket
import sysconfig
import time
from typing import Any

from qemu.qmp import legacy

from tests.functional.harness import process
from tools import debian_packages
from tools import vm_images

GUEST = pathlib.Path(__file__).resolve().parents[1] / 'guest'
CHECKOUT = process.CHECKOUT
PORT = 'ironic-accel.vm'
#: Seconds: TCG on a busy machine is slow.
BOOT, COMMAND = 240.0, 120.0


class GuestError(process.LabError):
    """The machine did not do what was asked; the text says why."""


@dataclasses.dataclass(frozen=True)
class Done:
    """The end of a command: exit status (None: not in time) and output."""

    rc: int | None
    out: str
    err: str


def why_not(suite: str = 'bookworm') -> str | None:
    """Why no virtual machine can run here, or None."""
    lacking = vm_images.missing()
    if lacking:
        return f"missing: {'; '.join(lacking)}"
    for path in (vm_images.initramfs(), vm_images.root(suite)):
        if not path.exists():
            return f'{path.name} is missing: run make vm-images'
    return None


@functools.cache
def accelerator() -> tuple[str, ...]:
    """QEMU's arguments for the processor: TCG, or as VM_ACCEL says.

    A nested KVM may start and then not run what is asked of it, so it is not
    the default.
    """
    name = os.environ.get('VM_ACCEL', 'tcg')
    return ('-accel', name, '-cpu', 'max,arch-capabilities=off'
            if name == 'kvm' else 'max')


def environment_shares() -> dict[str, pathlib.Path]:
    """The project and what is installed for it, by folder in /opt."""
    return {'site': pathlib.Path(sysconfig.get_path('purelib')),
            'ironic_accel': CHECKOUT / 'ironic_accel',
            'ipa_hardware_manager': CHECKOUT / 'ipa_hardware_manager'}


def command(folder: pathlib.Path, devices: Sequence[str],
            shares: Mapping[str, pathlib.Path], suite: str = 'bookworm',
            memory: int = 1024, parameters: Sequence[str] = ()) -> list[str]:
    """QEMU with its arguments; see :class:`Guest`."""
    image, _release = vm_images.kernel()
    tags = {'root': vm_images.root(suite),
            'modules': image.parents[1] / 'lib' / 'modules',
            'guest': GUEST, **shares}
    append = ['console=ttyS0', 'quiet', 'panic=-1', 'loglevel=4',
              *(f'vm.share={name}' for name in shares), *parameters]
    words = [
        debian_packages.find_program(vm_images.QEMU) or vm_images.QEMU,
        '-nodefaults', '-no-user-config', '-display', 'none',
        '-machine', 'q35', *accelerator(), '-smp', '1', '-m', str(memory),
        '-kernel', str(image), '-initrd', str(vm_images.initramfs()),
        '-append', ' '.join(append),
        '-chardev', f"file,id=serial,path={folder / 'serial.log'},append=on",
        '-serial', 'chardev:serial',
        '-qmp', f"unix:{folder / 'qmp'},server=on,wait=off",
        '-device', 'virtio-serial-pci',
        '-chardev', f"socket,id=port,path={folder / 'port'},server=on,"
                    'wait=off',
        '-device', f'virtserialport,chardev=port,name={PORT}']
    for tag, path in tags.items():
        words += ['-virtfs', f'local,path={path},mount_tag={tag},'
                  'security_model=none,readonly=on,multidevs=remap']
    return [*words, *devices]


class Console:
    """The way into a machine that somebody has started.

    :param folder: with its sockets and its log.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.serial = folder / 'serial.log'
        self._port: socket.socket | None = None
        self._buffer = b''
        self._qmp: legacy.QEMUMonitorProtocol | None = None
        #: What the machine said when it was up last.
        self.hello: dict[str, Any] = {}
        #: Seconds from the start of QEMU until it was up.
        self.seconds = 0.0

    def connect(self) -> bool:
        """Connect to the machine, which has just been started.

        :raises: OSError as long as it has not.
        """
        port = socket.socket(socket.AF_UNIX)
        port.connect(str(self.folder / 'port'))
        self._port, self._buffer = port, b''
        self._qmp = legacy.QEMUMonitorProtocol(str(self.folder / 'qmp'))
        self._qmp.connect()
        return True

    def close(self) -> None:
        """Leave the machine to itself."""
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None
        if self._port is not None:
            self._port.close()
            self._port = None

    def _check(self) -> None:
        """Raise ProcessDied where QEMU is known to have ended."""

    def wait_up(self, seconds: float = BOOT, began: float | None = None
                ) -> None:
        """Wait until it has booted, for the first time or again.

        :raises: GuestError, with the end of its serial log.
        """
        since = time.monotonic() if began is None else began
        while 'hello' not in (word := self._answer(seconds)):
            seconds -= time.monotonic() - since
        self.hello, self.seconds = word, time.monotonic() - since

    def run(self, *argv: str, user: str | None = None,
            env: Mapping[str, str] | None = None, text: str | None = None,
            seconds: float = COMMAND) -> Done:
        """Run a command in it, as root by default.

        :raises: GuestError if it does not answer.
        """
        if self._port is None:
            raise GuestError('the machine is not on')
        self._port.sendall(json.dumps({
            'argv': argv, 'user': user, 'env': dict(env or {}),
            'input': text, 'timeout': seconds}).encode() + b'\n')
        return Done(**self._answer(seconds + 30))

    def check(self, *argv: str, **options: Any) -> str:
        """The output of a command that must succeed.

        :raises: GuestError with what it said, if it failed.
        """
        done = self.run(*argv, **options)
        if done.rc:
            raise GuestError(f"{' '.join(argv)}: status {done.rc}: "
                             f'{(done.out + done.err)[-2000:]}')
        return done.out

    def read(self, path: str) -> str | None:
        """The stripped text of a file, or None if it cannot be read."""
        done = self.run('cat', path)
        return done.out.strip() if done.rc == 0 else None

    def python(self, *argv: str, text: str | None = None,
               user: str | None = None, seconds: float = COMMAND) -> str:
        """The output of Python with the project's environment."""
        return self.check('python3', *argv, text=text, user=user,
                          seconds=seconds, env={
                              'PYTHONPATH': '/opt:/opt/site',
                              'PYTHONDONTWRITEBYTECODE': '1'})

    def call(self, function: str | None, /, **arguments: Any) -> Any:
        """What a function of ``tests/vm/guest/inband.py`` returns.

        :param function: its name; None ends its process.
        :raises: GuestError with what it raised.
        """
        if self._port is None:
            raise GuestError('the machine is not on')
        self._port.sendall(json.dumps(
            {'call': function, **arguments}).encode() + b'\n')
        answer = self._answer(COMMAND)
        if 'error' in answer:
            raise GuestError(f"{answer['class']}: {answer['error']}")
        return answer['result']

    def qmp(self, command: str, **arguments: Any) -> Any:
        """A command of QEMU's machine protocol.

        :raises: qemu.qmp.ExecuteError if QEMU refuses.
        """
        if self._qmp is None:
            raise GuestError('the machine is not on')
        return self._qmp.cmd(command, **arguments)

    def wait_event(self, name: str, seconds: float = 60, **data: Any
                   ) -> dict[str, Any]:
        """The next event of QEMU with this name and these data.

        :raises: GuestError if it does not come in time.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._qmp:
            try:
                event = self._qmp.pull_event(wait=left)
            except TimeoutError:
                break
            if event and event['event'] == name and (
                    data.items() <= event.get('data', {}).items()):
                return dict(event)
        raise GuestError(f'QEMU: no event {name} {data or ""} in '
                         f'{seconds:.0f} s')

    def reset(self) -> None:
        """Reset it as a BMC does, and wait until it is up again."""
        self.qmp('system_reset')
        self.wait_up()

    def _answer(self, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while b'\n' not in self._buffer:
            self._check()
            left = until - time.monotonic()
            if left <= 0 or self._port is None:
                raise GuestError('the machine does not answer; its serial '
                                 f'log ends:\n{self._tail()}')
            self._port.settimeout(min(left, 1.0))
            try:
                data = self._port.recv(1 << 16)
            except TimeoutError:
                continue
            if not data:
                self._check()
                raise GuestError('QEMU closed the port')
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b'\n')
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _tail(self) -> str:
        try:
            return self.serial.read_text(errors='replace')[-3000:]
        except OSError:
            return '(no log)'


class Guest(Console):
    """One virtual machine; a context in which it runs.

    :param folder: for its sockets and its log; its path is short (108 bytes
        of a socket's address).
    :param devices: arguments of QEMU for its hardware.
    :param shares: folders of this machine, by name in /opt.
    :param parameters: of its kernel, besides those of the harness.
    """

    def __init__(self, folder: pathlib.Path, devices: Sequence[str] = (),
                 shares: Mapping[str, pathlib.Path] | None = None, *,
                 suite: str = 'bookworm', memory: int = 1024,
                 parameters: Sequence[str] = (),
                 reaper: process.Reaper | None = None) -> None:
        super().__init__(folder)
        self._process = process.Process(
            'qemu', command(folder, devices, dict(shares or {}), suite,
                            memory, parameters),
            folder=folder, reaper=reaper)

    def __enter__(self) -> Guest:
        """Start it; it is not up yet."""
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Cut its power."""
        self.stop()

    def start(self) -> None:
        """Start QEMU.

        :raises: LabError if it does not start.
        """
        began = time.monotonic()
        self._process.start()
        try:
            self._process.wait_ready(self.connect, 30)
            self.wait_up(began=began)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Cut the power: QEMU is killed."""
        self.close()
        self._process.kill()

    def _check(self) -> None:
        self._process.check()
