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

"""Images for BMCs that can only fetch."""

from __future__ import annotations

from collections.abc import Iterator
import hashlib
import os
import pathlib
from unittest import mock

from ironic.conf import CONF
import pytest

from ironic_accel.conductor.access import images
from ironic_accel.conductor.node import clock
from ironic_accel.converge.ports import Ready
from ironic_accel.model.profile import Image

DIGEST = hashlib.sha256(b'firmware').hexdigest()
IMAGE = Image('fw', 'https://images.example.org/fw/nic.bin', DIGEST,
              {'psid': ('X',)})


@pytest.fixture
def root(tmp_path: pathlib.Path, database: pathlib.Path
         ) -> Iterator[pathlib.Path]:
    """Where a web server serves from."""
    CONF.set_override('image_serve_dir', str(tmp_path / 'www'),
                      group='accelerator')
    CONF.set_override('image_serve_url', 'http://192.0.2.3/fw/',
                      group='accelerator')
    yield tmp_path / 'www'
    CONF.clear_override('image_serve_dir', group='accelerator')
    CONF.clear_override('image_serve_url', group='accelerator')


@pytest.fixture
def ready(tmp_path: pathlib.Path) -> Ready:
    """An image in the cache."""
    path = tmp_path / 'cached'
    path.write_bytes(b'firmware')
    path.chmod(0o600)
    return Ready(str(path), 8, DIGEST)


def test_served_image_is_complete_and_readable(
        root: pathlib.Path, ready: Ready) -> None:
    url = images.serve(ready, IMAGE)
    assert url == ('http://192.0.2.3/fw/accel-images/'
                   + DIGEST[:32] + '.bin')
    served = root / 'accel-images' / url.rsplit('/', 1)[1]
    assert served.read_bytes() == b'firmware'
    assert served.stat().st_mode & 0o777 == 0o444
    assert images.serve(ready, IMAGE) == url
    assert [p.name for p in served.parent.iterdir()] == [served.name]


def test_image_unused_for_a_day_is_removed(
        root: pathlib.Path, ready: Ready) -> None:
    folder = root / 'accel-images'
    folder.mkdir(parents=True)
    old, new = folder / 'old.bin', folder / 'new.bin'
    for path in (old, new):
        path.write_bytes(b'x')
    os.utime(old, (1.0, 1.0))
    images.serve(ready, IMAGE)
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize('jump', [-86400.0, 7200.0, 90_000.0, 1e7])
def test_a_clock_that_is_set_takes_no_image_away(
        root: pathlib.Path, ready: Ready, jump: float,
        monkeypatch: pytest.MonkeyPatch) -> None:
    """It is being fetched by a BMC while another one is put beside it."""
    url = images.serve(ready, IMAGE)
    assert url is not None
    begun = clock.now()
    monkeypatch.setattr(clock, 'now', lambda: begun + jump)
    other = pathlib.Path(ready.path).with_name('other')
    other.write_bytes(b'another')
    images.serve(Ready(str(other), 7, hashlib.sha256(b'another')
                        .hexdigest()), None)
    served = root / 'accel-images' / url.rsplit('/', 1)[1]
    assert served.read_bytes() == b'firmware'
    # A day of this machine's own later it is gone.
    steady = clock.steady()
    monkeypatch.setattr(
        clock, 'steady', lambda: steady + images.KEPT + 1)
    monkeypatch.setattr(
        clock, 'now', lambda: begun + images.KEPT + 1e7)
    images.serve(Ready(str(other), 7, hashlib.sha256(b'another')
                        .hexdigest()), None)
    assert not served.exists()


def test_failed_copy_leaves_nothing_behind(
        root: pathlib.Path, ready: Ready) -> None:
    with mock.patch.object(os, 'replace', autospec=True,
                           side_effect=OSError(28, 'No space left')), \
            pytest.raises(OSError, match='No space left'):
        images.serve(ready, IMAGE)
    assert list((root / 'accel-images').iterdir()) == []


def test_without_a_web_server_nothing_is_served(
        database: pathlib.Path, ready: Ready) -> None:
    CONF.set_override('image_serve_url', '', group='accelerator')
    try:
        assert images.serve(ready, IMAGE) is None
    finally:
        CONF.clear_override('image_serve_url', group='accelerator')
