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

"""The install page from nothing: its ironic.conf, and each of its commands.

Not the lab's Ironic: the commands of Ironic as PyPI has them, on the
configuration of the page, with SQLite as it is by default.
"""

from __future__ import annotations

import configparser
import pathlib

from oslo_db import options as db_options
import pytest

from ironic.conf import database
from tests import console_page
from tests import consoles
from tests.functional.harness import ports

PAGE = consoles.SOURCE / 'install/index.rst'


def minimal() -> str:
    """The configuration that the page starts an Ironic with."""
    text, = (b.text for b in consoles.blocks(PAGE)
             if b.language == 'ini' and 'rpc_transport' in b.text)
    return text


@pytest.mark.timeout(240)
def test_install_page_starts_an_ironic_and_lists_devices(
        tmp_path: pathlib.Path) -> None:
    pool = ports.Ports()
    api, bmc = pool.take(), pool.take()
    site = tmp_path / 'srv'
    site.mkdir()
    replaced = {'/srv/ironic': str(site), '6385': str(api),
                '8000': str(bmc), '/etc/ironic/ironic.conf':
                str(site / 'ironic.conf'), 'node-2': 'node-1'}
    conf = minimal()
    for text, here in replaced.items():
        conf = conf.replace(text, here)
    (site / 'ironic.conf').write_text(conf)
    try:
        count = console_page.run(
            PAGE, tmp_path, {'no_proxy': '127.0.0.1'}, replaced)
    finally:
        pool.close()
    assert count > 10
    log = (site / 'ironic.log').read_text()
    assert 'Traceback' not in log, log[-4000:]


def test_minimal_configuration_keeps_to_loopback_without_keystone() -> None:
    read = configparser.ConfigParser(interpolation=None)
    read.read_string(minimal())
    assert read['DEFAULT']['auth_strategy'] == 'noauth'
    assert read['api']['host_ip'] == '127.0.0.1'


def test_database_settings_of_the_page_are_options_of_ironic() -> None:
    text = PAGE.read_text('utf-8').split('.. _database-settings:')[1].split(
        'In the ramdisk')[0]
    known = {o.name: o.default for o in (
        *db_options.database_opts, *database.opts)}
    for name in ('connection', 'sqlite_retries', 'sqlite_max_wait_for_retry',
                 'sqlite_synchronous', 'max_retries', 'max_pool_size',
                 'connection_recycle_time', 'mysql_wsrep_sync_wait',
                 'max_overflow', 'use_db_reconnect', 'db_max_retries'):
        assert f'``{name}``' in text and name in known, name
    told = {'sqlite_max_wait_for_retry': '10', 'max_retries': '10',
            'connection_recycle_time': '3600', 'max_pool_size': '5',
            'max_overflow': '50', 'sqlite_retries': 'True',
            'sqlite_synchronous': 'True'}
    assert {name: str(known[name]) for name in told} == told
