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

"""In band, a tool is given what was checked, whoever changes the image."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import hashlib
import os
from pathlib import Path
import threading

import pytest

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.jobs.job_store import Jobs
from ironic_accel.inband.jobs import private_files
from ironic_accel.model.errors import AccelError
from ironic_accel.model.profile import Image
from tests.contract.inband.test_core_backend import NIC
from tests.contract.inband.test_core_backend import wait
from tests.unit.inband import sample

GOOD = os.urandom(3 << 20)
EVIL = os.urandom(3 << 20)
DIGEST = hashlib.sha256(GOOD).hexdigest()


def _image(folder: Path) -> Ready:
    path = folder / 'cached'
    path.write_bytes(GOOD)
    return Ready(str(path), len(GOOD), DIGEST)


def _bench(folder: Path, script: str = '') -> LocalBackend:
    """A backend whose tool says the digest of what it was given."""
    _, host = sample.machine(folder)
    sample.tool(folder, 'burner', f'''
        {script}
        sha256sum < "$2" > {folder}/burnt
        ls -l "$2" > {folder}/mode
        echo "$2" > {folder}/path
        echo done''')
    return sample.backend(folder, host, sample.Burner(folder))


def _burnt(folder: Path) -> str | None:
    path = folder / 'burnt'
    return path.read_text().split()[0] if path.exists() else None


def _burn(backend: LocalBackend, image: Ready) -> Poll:
    return wait(backend, backend.start(sample.burn(NIC), image))


def test_a_tool_has_a_copy_that_is_gone_afterwards(tmp_path: Path) -> None:
    backend = _bench(tmp_path)
    end = _burn(backend, _image(tmp_path))
    assert isinstance(end, Ended) and end.results[0].ok
    assert _burnt(tmp_path) == DIGEST
    path = Path((tmp_path / 'path').read_text().strip())
    assert path.parent.parent == tmp_path / 'jobs'
    assert (tmp_path / 'mode').read_text().startswith('-r--------')
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.exists()


def _changed(end: Poll) -> str:
    assert isinstance(end, Ended)
    (result,) = end.results
    assert not result.ok and result.detail is not None
    return result.detail.summary


@pytest.mark.parametrize('how', ['other', 'longer', 'shorter', 'empty'])
def test_an_image_that_was_changed_since_is_refused(
        tmp_path: Path, how: str) -> None:
    image = _image(tmp_path)
    backend = _bench(tmp_path)
    (tmp_path / 'cached').write_bytes({
        'other': EVIL, 'longer': GOOD + b'x', 'shorter': GOOD[:-1],
        'empty': b''}[how])
    assert 'nothing was written' in _changed(_burn(backend, image))
    assert _burnt(tmp_path) is None
    assert not list(tmp_path.glob('jobs/*/image-*'))


@pytest.mark.parametrize('kind', ['link', 'fifo', 'folder', 'gone'])
def test_what_is_no_file_is_not_waited_for(
        tmp_path: Path, kind: str) -> None:
    image = _image(tmp_path)
    path = tmp_path / 'cached'
    path.rename(tmp_path / 'real')
    if kind == 'link':
        path.symlink_to(tmp_path / 'real')
    elif kind == 'fifo':
        os.mkfifo(path)
    elif kind == 'folder':
        path.mkdir()
    backend = _bench(tmp_path)
    assert 'cannot copy the image' in _changed(_burn(backend, image))
    assert _burnt(tmp_path) is None


@contextlib.contextmanager
def _attack(path: Path, how: str) -> Iterator[None]:
    """Somebody who changes the image without an end, good and evil by
    turns: in the file, or by another file under its name."""
    over = threading.Event()

    def swap() -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            content = EVIL if turn % 2 else GOOD
            if how == 'inside':
                with open(path, 'r+b') as file:
                    for at in range(0, len(content), 1 << 18):
                        file.seek(at)
                        file.write(content[at:at + (1 << 18)])
            else:
                part = path.with_name(f'part-{turn % 2}')
                part.write_bytes(content)
                os.replace(part, path)

    thread = threading.Thread(target=swap, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize('how', ['inside', 'name'])
def test_who_changes_it_all_the_time_gets_nothing_else_burnt(
        tmp_path: Path, how: str) -> None:
    """What the tool reads, early and late, is the image or there is no
    burn; as what was checked may be swapped at any moment, also while the
    tool runs."""
    image = _image(tmp_path)
    backend = _bench(tmp_path, f'''
        sha256sum < "$2" >> {tmp_path}/early; sleep 0.05''')
    done = refused = 0
    with _attack(tmp_path / 'cached', how):
        for _ in range(12):
            (tmp_path / 'burnt').unlink(missing_ok=True)
            end = _burn(backend, image)
            assert isinstance(end, Ended)
            if end.results[0].ok:
                done += 1
                assert _burnt(tmp_path) == DIGEST
            else:
                refused += 1
                assert _burnt(tmp_path) is None
    early = tmp_path / 'early'
    assert {x.split()[0] for x in (
        early.read_text().splitlines() if early.exists() else ())} <= {DIGEST}
    assert done + refused == 12
    assert not list(tmp_path.glob('jobs/*/image-*'))


def test_a_swap_while_the_tool_runs_is_not_read(tmp_path: Path) -> None:
    """The same, without a race: the tool itself lets it happen."""
    image = _image(tmp_path)
    (tmp_path / 'evil').write_bytes(EVIL)
    backend = _bench(tmp_path, f'''
        cp {tmp_path}/evil {tmp_path}/cached''')
    end = _burn(backend, image)
    assert isinstance(end, Ended) and end.results[0].ok
    assert (tmp_path / 'cached').read_bytes() == EVIL
    assert _burnt(tmp_path) == DIGEST


@pytest.mark.parametrize(('url', 'suffix'), [
    ('https://x/fw.bin', '.bin'), ('https://x/a/shell.xsabin', '.xsabin'),
    ('https://x/fw.signed.bin', '.signed.bin'), ('https://x/fw', ''),
    ('https://x/fw.b n', ''), ('https://x/fw.bin;rm', ''),
    ('https://x/.' + 'a' * 40, ''), ('https://x/fw.%2e%2e', '')])
def test_the_copy_has_the_suffix_that_the_image_has(
        tmp_path: Path, url: str, suffix: str) -> None:
    image = _image(tmp_path)
    folder = tmp_path / 'own'
    folder.mkdir()
    copy = private_files.copy(image, Image('x', url, DIGEST, {}), folder)
    assert copy.path == f'{folder}/image-{DIGEST[:16]}{suffix}'
    assert Path(copy.path).read_bytes() == GOOD
    # Not over one that is there.
    with pytest.raises(AccelError, match='cannot copy the image'):
        private_files.copy(image, Image('x', url, DIGEST, {}), folder)


def test_copies_of_jobs_that_nobody_ended_go(tmp_path: Path) -> None:
    jobs = Jobs(str(tmp_path / 'jobs'))

    def job() -> str:
        return jobs.new(transport='local', verb='update', cards=(), refs=(),
                        boot=None).id

    old = job()
    (jobs.folder(old) / 'image-0').write_bytes(GOOD)
    found = jobs.load(old)
    assert found is not None
    found.worker = (1 << 30, 1)
    jobs.save(found)
    job()
    assert not list(jobs.folder(old).glob('image-*'))
    assert jobs.load(old) is not None
