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

from __future__ import annotations

import configparser
import pathlib
import urllib.request

import pytest

from tests.functional.harness import files
from tests.functional.harness import nova_like
from tests.functional.harness import ports
from tests.functional.harness import process
from tests.functional.harness import services


def test_later_settings_win_and_none_takes_away(
        tmp_path: pathlib.Path) -> None:
    path = services.write_settings(
        tmp_path / "x.conf",
        {"DEFAULT": {"host": "a", "gone": 1}, "api": {"port": 80}},
        {"DEFAULT": {"host": "b", "gone": None, "kinds": ["x", "y"]}})
    seen = configparser.RawConfigParser(default_section="")
    seen.read(path)
    assert {name: dict(seen[name]) for name in seen.sections()} == {
        "DEFAULT": {"host": "b", "kinds": "x,y"}, "api": {"port": "80"}}


def test_the_file_server_serves_and_counts(tmp_path: pathlib.Path) -> None:
    (tmp_path / "image.bin").write_bytes(b"firmware")
    server = files.FileServer(tmp_path)
    try:
        with urllib.request.urlopen(  # noqa: S310 - ours, on loopback
                server.url + "/image.bin", timeout=10) as answer:
            assert answer.read() == b"firmware"
        assert server.requests == ["/image.bin"]
    finally:
        server.close()


@pytest.mark.parametrize(("changes", "reserved"), [
    ({}, False),
    ({"provision_state": "manageable"}, True),
    ({"provision_state": "cleaning"}, True),
    ({"maintenance": True}, True),
    ({"power_state": None}, True),
    ({"power_state": "error"}, True),
    ({"provision_state": "active", "instance_uuid": "i"}, False),
])
def test_reserved_as_novas_driver_has_it(
        changes: dict[str, object], reserved: bool) -> None:
    node = {"instance_uuid": None, "maintenance": False,
            "power_state": "power off", "provision_state": "available",
            **changes}
    assert nova_like.is_reserved(node) is reserved


def test_the_resource_class_is_normalised_as_by_nova() -> None:
    assert nova_like.resource_class(
        {"resource_class": "baremetal.gpu-x8"}) == "CUSTOM_BAREMETAL_GPU_X8"


def test_services_run_in_the_environment_of_their_site(
        tmp_path: pathlib.Path) -> None:
    reaper = process.Reaper()
    try:
        site = services.Site(tmp_path, ports.Ports(), reaper,
                             "/opt/series/bin/python")
        assert site.module("a.b", 1) == [
            "/opt/series/bin/python", "-m", "a.b", "1"]
        assert site.program("ironic-dbsync", "upgrade") == [
            "/opt/series/bin/ironic-dbsync", "upgrade"]
    finally:
        reaper.close()
