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

"""Try the interface type ``accelerator`` in an Ironic that has it.

``make test-upstream``: it unpacks the sdist of the release, edits it
(``apply``), makes an environment with it and with this checkout, runs those
of upstream's unit tests that the edits touch, and then the lab of
``tests/upstream``. Everything is in a folder outside of the checkout, which
is removed unless it was named (``--folder``). The Ironic that is installed
beside the checkout stays as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

from contrib.upstream import apply

ROOT = pathlib.Path(__file__).resolve().parents[2]
#: Of upstream's unit tests: those of the files that are edited, and ours.
TESTS = (r'accelerator|objects\.test_objects|objects\.test_node\.|'
         r'test_driver_factory|test_release_mappings|v1\.test_driver\.|'
         r'v1\.test_root|test_versions|sqlalchemy\.test_migrations|'
         r'conductor\.test_steps|conductor\.test_base_manager|'
         r'drivers\.test_base|test_fake_hardware|modules\.test_noop|'
         r'test_autodetect|test_hardware_type')
#: What the lab starts and this checkout's commands need. The agent of a
#: simulated host runs with the machine's Python, whose own pyOpenSSL need not
#: fit the newer cryptography.
PACKAGES = ('pytest>=8.3', 'pytest-timeout>=2.3', 'hypothesis>=6.100',
            'PyMySQL>=1.1', 'cryptography>=42', 'pyOpenSSL>=24',
            'openstack-placement==16.*',
            'os-resource-classes>=1.1', 'waitress>=3.0',
            'oslo.upgradecheck>=2.0')


def uv(*arguments: object) -> None:
    """Run uv of this environment.

    :raises: CalledProcessError.
    """
    subprocess.run([pathlib.Path(sys.executable).with_name('uv'),
                    *map(str, arguments)], check=True, cwd=ROOT)


def unpack(folder: pathlib.Path, release: str, sdist: pathlib.Path | None
           ) -> pathlib.Path:
    """The tree of the release.

    :param sdist: its archive; None to get it from the package index.
    """
    if sdist is None:
        subprocess.run(
            [sys.executable, '-m', 'pip', 'download', '-q', '--no-deps',
             '--no-build-isolation', '--no-binary', ':all:', '-d', folder,
             f'ironic=={release}'], check=True)
        sdist = folder / f'ironic-{release}.tar.gz'
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter='data')
    return folder / f'ironic-{release}'


def environment(folder: pathlib.Path, tree: pathlib.Path) -> pathlib.Path:
    """Make an environment with the tree and this checkout; its Python."""
    python = folder / 'env' / 'bin' / 'python'
    # The one of the sdist has not the new entry points, and is found first.
    shutil.rmtree(tree / 'ironic.egg-info', ignore_errors=True)
    uv('venv', '-q', '--python', sys.executable, folder / 'env')
    install = ('pip', 'install', '-q', '--python', python, '-c',
               ROOT / 'constraints.txt')
    uv(*install, '-r', tree / 'requirements.txt', '-r',
       tree / 'test-requirements.txt', *PACKAGES)
    uv('pip', 'install', '-q', '--python', python, '--no-deps',
       '--refresh-package', 'ironic', '-e', tree)
    uv(*install, '-e', f'{ROOT}[agent,exporter,inband,osc]', '-e',
       f'{ROOT}/emulator[tls]')
    return python


def unit_tests(python: pathlib.Path, tree: pathlib.Path, env: Mapping[
        str, str]) -> tuple[int, int]:
    """Run upstream's; how many passed and failed."""
    done = subprocess.run(
        [python, '-m', 'stestr', 'run', '--concurrency',
         str(os.cpu_count() or 1), TESTS], cwd=tree, check=False, env=env,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    counts = [re.search(rf' - {word}: (\d+)', done.stdout)
              for word in ('Passed', 'Failed')]
    if None in counts or done.returncode:
        print(done.stdout)
    passed, failed = (int(c[1]) if c else 0 for c in counts)
    return passed, failed or int(done.returncode != 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see ``--help``."""
    parser = argparse.ArgumentParser(
        description='Try the interface type accelerator.')
    parser.add_argument('--sdist', type=pathlib.Path,
                        help='The archive of the release. Default: the '
                             'package index.')
    parser.add_argument('--folder', type=pathlib.Path,
                        help='An empty folder outside of the checkout, which '
                             'stays. Default: a temporary one.')
    parser.add_argument('--skip-unit', action='store_true',
                        help='Run the lab only.')
    given = parser.parse_args(arguments)
    folder = given.folder or pathlib.Path(
        tempfile.mkdtemp(prefix='ironic-accelerator-'))
    folder.mkdir(parents=True, exist_ok=True)
    # Simulated hosts of the lab run as somebody else.
    folder.chmod(0o755)
    try:
        return _check(folder.resolve(), given.sdist, given.skip_unit)
    except apply.Stopped as exc:
        print(f'{exc}; nothing was written', file=sys.stderr)
        return 1
    finally:
        if given.folder is None:
            shutil.rmtree(folder)


def _check(folder: pathlib.Path, sdist: pathlib.Path | None,
           skip_unit: bool) -> int:
    start = time.monotonic()

    def say(text: str) -> None:
        print(f'{time.monotonic() - start:6.0f} s  {text}', flush=True)

    release, commits = apply.load()
    tree = unpack(folder, release, sdist)
    apply.check_release(tree, release)
    apply.write(tree, apply.changes(tree, commits))
    say(f'ironic {release}: {apply.figures(commits)}')
    python = environment(folder, tree)
    say('environment made')
    env = {k: v for k, v in os.environ.items() if not k.startswith('PYTHON')}
    failed = 0
    if not skip_unit:
        passed, failed = unit_tests(python, tree, env)
        say(f"upstream's unit tests: {passed} passed, {failed} failed")
    lab = subprocess.run(
        [python, '-m', 'pytest', '-q', 'tests/upstream',
         'tests/unit/conductor/drivers/test_accelerator_type.py'],
        cwd=ROOT, check=False, env=env).returncode
    say('the lab: ' + ('FAILED' if lab else 'passed'))
    return int(bool(failed or lab))


if __name__ == '__main__':
    sys.exit(main())
