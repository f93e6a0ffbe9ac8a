import json
from dataclasses import replace

import pytest

from app.osquery.configuration import (
    DECORATORS,
    LIMIT_BYTES,
    OPTIONS,
    PackDocument,
    QueryDocument,
    config_hash,
    configuration,
)

QUERY = QueryDocument(
    name="outbound",
    statement="SELECT 'Ærø → 東京' AS place FROM processes",
    interval_seconds=60,
    snapshot=False,
    removed=True,
    platform="windows",
    version="5.15.0",
    denylist=False,
    startup_priority=2,
)
PACK = PackDocument(name="windows_network", platform="windows", version="5.15.0", queries=(QUERY,))


def test_the_body_is_one_compact_line_that_an_agent_writes_out_the_same_way():
    body = configuration([PACK], epoch=20778)
    assert json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":")).encode() == body
    assert b"\n" not in body
    assert "東京".encode() in body


def test_the_same_packs_give_the_same_bytes():
    assert configuration([PACK], epoch=1) == configuration([replace(PACK)], epoch=1)
    assert configuration([PACK], epoch=1) != configuration([PACK], epoch=2)


def test_a_query_says_all_that_an_agent_schedules_by():
    document = json.loads(configuration([PACK], epoch=20778))
    assert document["packs"]["windows_network"] == {
        "platform": "windows",
        "version": "5.15.0",
        "queries": {
            "outbound": {
                "query": QUERY.statement,
                "interval": 60,
                "snapshot": False,
                "removed": True,
                "platform": "windows",
                "version": "5.15.0",
                "denylist": False,
                "startup_priority": 2,
            }
        },
    }


def test_a_query_without_a_startup_priority_does_not_mention_one():
    pack = replace(PACK, queries=(replace(QUERY, startup_priority=None),))
    assert (
        "startup_priority"
        not in json.loads(configuration([pack], epoch=1))["packs"]["windows_network"]["queries"]["outbound"]
    )


def test_every_option_is_explicit_because_agents_keep_the_last_value():
    options = json.loads(configuration([], epoch=20778))["options"]
    assert options == {
        "pack_delimiter": "/",
        "logger_event_type": True,
        "logger_snapshot_event_type": False,
        "logger_numerics": False,
        "decorations_top_level": False,
        "disable_decorators": False,
        "logger_tls_period": 10,
        "logger_tls_max_lines": 1024,
        "logger_tls_max_linesize": 16777216,
        "logger_tls_compress": True,
        "logger_tls_backoff_max": 300,
        "logger_min_status": 1,
        "tls_disable_status_log": False,
        "buffered_log_max": 1000000,
        "schedule_splay_percent": 10,
        "schedule_max_drift": 60,
        "events_expiry": 3600,
        "events_max": 50000,
        "disable_distributed": False,
        "distributed_interval": 60,
        "schedule_epoch": 20778,
    }


def test_options_of_the_command_line_only_and_empty_values_are_not_sent():
    command_line_only = {"tls_hostname", "config_refresh", "config_plugin", "logger_plugin", "disable_watchdog"}
    assert not command_line_only & OPTIONS.keys()
    assert all(value != "" and not isinstance(value, float) for value in OPTIONS.values())


def test_every_line_is_decorated_with_the_agents_instance():
    decorators = json.loads(configuration([], epoch=1))["decorators"]
    assert decorators == {"load": ["SELECT instance_id, version AS osquery_version FROM osquery_info"]}
    assert list(DECORATORS) == ["load"]


def test_a_caller_may_serve_other_options():
    options = json.loads(configuration([], epoch=3, options={**OPTIONS, "distributed_interval": 10}))["options"]
    assert options["distributed_interval"] == 10


def test_a_body_that_agents_would_refuse_is_refused_here():
    room = LIMIT_BYTES - len(configuration([replace(PACK, queries=(replace(QUERY, statement=""),))], epoch=1))
    largest = replace(PACK, queries=(replace(QUERY, statement="x" * (room - 1)),))
    too_large = replace(PACK, queries=(replace(QUERY, statement="x" * room),))
    assert len(configuration([largest], epoch=1)) == LIMIT_BYTES - 1
    with pytest.raises(ValueError, match="the configuration has 1048576 bytes"):
        configuration([too_large], epoch=1)


def test_the_hash_is_the_sha_1_of_the_hex_sha_1_of_the_body():
    # printf '{}' | sha1sum gives bf21a9e8fbc5a3846fb05b4fa0859e0917b2202f; those 40 digits through sha1sum again:
    assert config_hash(b"{}") == "f80dee827635db39077a458243379b3ad63311fd"
