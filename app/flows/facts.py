"""What a joined flow says to the judgement."""

from app.detection.columns import LONGEST_TEXT
from app.detection.flow_facts import FlowFacts
from app.detection.paths import visible
from app.flows.join import Match, SensorJoin

_MOST_VIOLATIONS = 8


def facts_of(match: Match, join: SensorJoin) -> FlowFacts:
    """The first flow of a connection speaks for it; what the sensor recognised later on counts too."""
    first, flows = match.flow, match.pieces.flows
    violations = dict.fromkeys(visible(text[:LONGEST_TEXT]) for flow in flows for text in flow.violations)
    return FlowFacts(
        tool=first.tool,
        sensor=first.sensor,
        flow_id=first.flow_id,
        transport=first.transport,
        port=match.connection.remote[1],
        joined_by=match.how.value,
        skew_seconds=match.skew_seconds,
        is_firm=match.is_firm,
        services=frozenset().union(*(flow.services for flow in flows)),
        failed_services=frozenset().union(*(flow.failed_services for flow in flows)),
        violations=tuple(violations)[:_MOST_VIOLATIONS],
        tls_version=next((flow.tls_version for flow in flows if flow.tls_version), ""),
        server_name=next((flow.server_name for flow in flows if flow.server_name), ""),
        packets_out=first.packets_out,
        packets_in=first.packets_in,
        bytes_out=first.bytes_out,
        bytes_in=first.bytes_in,
        one_sided=first.one_sided,
        attempts=match.attempts,
        sees=join.sees,
    )
